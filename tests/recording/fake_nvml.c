/* A stand-in for libnvidia-ml.so.1 with NVML's own calling interface, for machines without an NVIDIA driver.

   Three GPUs, whose state is a function of how often their power was asked for (`look`, counted per GPU from 1):
     0  a Hopper with GPM: duty cycle 40 % on odd looks, 60 % on even ones; 300 W; one process
     1  MIG: instances 1g.10gb (id 7) and 3g.40gb (id 2), a process on the second; no utilization, no GPM
     2  an old GPU: no energy counter, no memory v2, no GPM; falls off the bus at its third look
   FAKE_NVML=no_driver: nvmlInit fails. FAKE_NVML=no_gpu: the driver answers, without a GPU. FAKE_NVML=all_lost: GPU 0 and 1 go too.
   Struct layouts are those of nvml.h, version 12. */
#include <stdlib.h>
#include <string.h>

typedef int ret_t;
enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };
typedef unsigned long long u64;
typedef struct { int gpu; int instance; } unit_t; /* instance 0: the GPU itself */

static unit_t units[5] = {{0, 0}, {1, 0}, {2, 0}, {1, 7}, {1, 2}};
static int looks[3];
static int freed, allocated;

static int mode(const char *name) { const char *m = getenv("FAKE_NVML"); return m != NULL && strcmp(m, name) == 0; }
static int lost(const unit_t *u) { return looks[u->gpu] >= 3 && (u->gpu == 2 || mode("all_lost")); }
#define ALIVE(u) do { if (lost(u)) return GPU_IS_LOST; } while (0)

ret_t nvmlInitWithFlags(unsigned flags) { (void)flags; return mode("no_driver") ? DRIVER_NOT_LOADED : OK; }
ret_t nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(ret_t r) { return r == GPU_IS_LOST ? "GPU is lost" : r == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "error"; }
ret_t nvmlSystemGetDriverVersion(char *v, unsigned n) { strncpy(v, "570.00.01", n); return OK; }
ret_t nvmlDeviceGetCount_v2(unsigned *n) { *n = mode("no_gpu") ? 0 : 3; return OK; }
ret_t nvmlDeviceGetHandleByIndex_v2(unsigned i, unit_t **u) { if (i > 2) return INVALID; *u = &units[i]; return OK; }
ret_t nvmlDeviceGetMinorNumber(unit_t *u, unsigned *n) { *n = (unsigned)u->gpu; return OK; }

ret_t nvmlDeviceGetUUID(unit_t *u, char *text, unsigned n) {
  static const char *names[] = {"GPU-fake-0", "GPU-fake-1", "GPU-fake-2"};
  strncpy(text, u->instance ? "MIG-fake" : names[u->gpu], n);
  return OK;
}

ret_t nvmlDeviceGetName(unit_t *u, char *text, unsigned n) {
  strncpy(text, u->instance == 7 ? "NVIDIA H100 80GB HBM3 MIG 1g.10gb" : u->instance == 2 ? "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
                : u->gpu == 2 ? "Tesla K80" : "NVIDIA H100 80GB HBM3", n);
  return OK;
}

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
ret_t nvmlDeviceGetPciInfo_v3(unit_t *u, pci_t *p) {
  memset(p, 0, sizeof *p);
  strcpy(p->bus_id, "00000000:10:00.0");
  p->bus_id[9] = (char)('1' + u->gpu);
  return OK;
}

ret_t nvmlDeviceGetPowerUsage(unit_t *u, unsigned *milliwatts) {
  looks[u->gpu]++;
  ALIVE(u);
  *milliwatts = u->gpu == 0 ? 300000 : u->gpu == 1 ? 420500 : 149000;
  return OK;
}

ret_t nvmlDeviceGetTotalEnergyConsumption(unit_t *u, u64 *millijoules) {
  ALIVE(u);
  if (u->gpu == 2) return NOT_SUPPORTED;
  *millijoules = 50000000000ULL + 300000ULL * (u64)looks[u->gpu]; /* 300 W at a look a second */
  return OK;
}

typedef struct { unsigned gpu, memory; } utilization_t;
ret_t nvmlDeviceGetUtilizationRates(unit_t *u, utilization_t *r) {
  ALIVE(u);
  if (u->gpu == 1) return NOT_SUPPORTED;
  r->gpu = u->gpu == 0 ? (looks[0] % 2 ? 40 : 60) : 0;
  r->memory = 1;
  return OK;
}

typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
ret_t nvmlDeviceGetMemoryInfo(unit_t *u, memory_t *m) {
  ALIVE(u);
  m->total = 11ULL << 30; m->used = 1ULL << 20; m->free = m->total - m->used;
  return OK;
}
ret_t nvmlDeviceGetMemoryInfo_v2(unit_t *u, memory_v2_t *m) {
  ALIVE(u);
  if (u->gpu == 2) return NOT_SUPPORTED;
  if (m->version != 0x02000028) return INVALID;
  m->total = 80ULL << 30; m->reserved = 600ULL << 20;
  m->used = u->instance == 7 ? 12ULL << 20 : 20000ULL << 20;
  m->free = m->total - m->reserved - m->used;
  return OK;
}

ret_t nvmlDeviceGetClockInfo(unit_t *u, int type, unsigned *mhz) { ALIVE(u); if (type != 1) return INVALID; *mhz = 1410; return OK; }
ret_t nvmlDeviceGetTemperature(unit_t *u, int sensor, unsigned *celsius) { ALIVE(u); if (sensor) return INVALID; *celsius = 41; return OK; }

ret_t nvmlDeviceGetMigMode(unit_t *u, unsigned *now, unsigned *pending) {
  ALIVE(u);
  if (u->gpu == 2) return NOT_SUPPORTED;
  *now = *pending = u->gpu == 1;
  return OK;
}
ret_t nvmlDeviceGetMaxMigDeviceCount(unit_t *u, unsigned *n) { (void)u; *n = 7; return OK; }
ret_t nvmlDeviceGetMigDeviceHandleByIndex(unit_t *u, unsigned i, unit_t **instance) {
  (void)u;
  if (i > 1) return NOT_FOUND;
  *instance = &units[3 + i];
  return OK;
}
ret_t nvmlDeviceGetGpuInstanceId(unit_t *u, unsigned *id) { *id = (unsigned)u->instance; return OK; }

typedef struct { unsigned pid; u64 memory; unsigned gpu_instance, compute_instance; } process_t;
ret_t nvmlDeviceGetComputeRunningProcesses_v3(unit_t *u, unsigned *n, process_t *list) {
  const char *pid = getenv("FAKE_NVML_PID");
  ALIVE(u);
  if (pid == NULL || !(u->gpu == 0 || u->instance == 2)) { *n = 0; return OK; }
  if (list == NULL || *n < 1) { *n = 1; return INSUFFICIENT_SIZE; }
  *n = 1;
  list[0].pid = (unsigned)atoi(pid); list[0].memory = 5ULL << 30; list[0].gpu_instance = list[0].compute_instance = 0;
  return OK;
}
ret_t nvmlDeviceGetGraphicsRunningProcesses_v3(unit_t *u, unsigned *n, process_t *list) { ALIVE(u); (void)list; *n = 0; return OK; }

typedef struct { unsigned pid; u64 at; unsigned sm, memory, encoder, decoder; } process_utilization_t;
ret_t nvmlDeviceGetProcessUtilization(unit_t *u, process_utilization_t *list, unsigned *n, u64 since) {
  const char *pid = getenv("FAKE_NVML_PID");
  ALIVE(u);
  if (u->gpu != 0) return NOT_SUPPORTED;
  if (pid == NULL || since >= (u64)looks[0] * 1000) return NOT_FOUND;
  if (list == NULL || *n < 1) { *n = 1; return INSUFFICIENT_SIZE; }
  *n = 1;
  memset(list, 0, sizeof *list);
  list[0].pid = (unsigned)atoi(pid); list[0].at = (u64)looks[0] * 1000; list[0].sm = looks[0] % 2 ? 40 : 60;
  return OK;
}

typedef struct { int look; } gpm_sample_t;
typedef struct { unsigned id; ret_t result; double value; const char *info[3]; } gpm_metric_t;
typedef struct { unsigned version, count; gpm_sample_t *first, *second; gpm_metric_t metrics[1]; } gpm_get_t;
typedef struct { unsigned version, supported; } gpm_support_t;
ret_t nvmlGpmQueryDeviceSupport(unit_t *u, gpm_support_t *s) { s->supported = u->gpu == 0; return OK; }
ret_t nvmlGpmSampleAlloc(gpm_sample_t **s) { allocated++; *s = calloc(1, sizeof **s); return OK; }
ret_t nvmlGpmSampleFree(gpm_sample_t *s) { freed++; free(s); return OK; }
ret_t nvmlGpmSampleGet(unit_t *u, gpm_sample_t *s) { ALIVE(u); s->look = looks[u->gpu]; return OK; }
ret_t nvmlGpmMetricsGet(gpm_get_t *get) {
  unsigned n;
  if (get->version != 1 || get->second->look != get->first->look + 1) return INVALID;
  for (n = 0; n < get->count; n++) {
    gpm_metric_t *m = &get->metrics[n];
    m->result = OK;
    if (m->id == 1 || m->id == 2) m->value = get->second->look % 2 ? 40.0 : 60.0;
    else if (m->id == 3) m->value = 0.0 / 0.0; /* NaN */
    else if (m->id == 5) m->result = NOT_SUPPORTED;
    else m->value = 12.5;
  }
  return OK;
}
int fake_samples_in_use(void) { return allocated - freed; }
