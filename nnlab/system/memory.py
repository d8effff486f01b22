"""How much memory this process may use."""

import os
from contextlib import suppress
from pathlib import Path

# Limits of a container: of cgroups in version 2, and in version 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_size() -> int | None:
    """Return the bytes of memory that this machine or container has; None where nothing tells."""
    sizes = []
    for limit in map(Path, LIMITS):
        try:
            sizes.append(int(limit.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or no limit: "max"
            continue
    with suppress(AttributeError, OSError, ValueError):  # not on every system
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(sizes, default=None)
