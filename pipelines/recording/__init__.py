"""`apportion record-gpu`: this machine's GPUs, sampled through NVML and written as the `dcgm` source reads them.

Belongs here: talking to the driver, who owns a process, the recording's files. Does not: what a sample means (sources/dcgm.py, dbt).
"""
