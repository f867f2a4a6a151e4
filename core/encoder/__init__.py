"""Gateway to models on this machine: texts to vectors, and the embedded teacher."""

import ctypes
import os
import sys

# Read once, when torch loads its thread library. By default idle threads spin; as soon as another process wants the same core, every
# small operation then waits for the scheduler: writing one token took 1.7 s instead of 0.08 s (2 cores under load, measured).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h


def _keep_freed_memory() -> None:
    """Let glibc reuse what torch frees.

    As it comes, each of a forward pass's large tensors is a fresh mapping that the kernel fills with zeros page by page and takes back a
    moment later: a fifth of the processor time of encoding (550,000 page faults for 64 passages, 70 with this; measured). Up to 512 MB of
    freed memory stay with the process. Other C libraries have no such switch.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most it takes
        libc.mallopt(M_TRIM_THRESHOLD, 512 << 20)


_keep_freed_memory()
