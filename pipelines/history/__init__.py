"""What was published when: the archive of releases, what moved between them, closed periods, and how figures usually revise.

Belongs here: everything that reads a past release. Does not: the figures of a release, which never depend on this package.
"""
