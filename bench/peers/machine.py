"""What the operating system says: processor, memory of this process, cores, space on disk. Standard library only."""

import ctypes
import gc
import os
import platform


def describe():
    """The machine in words and numbers."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def resident_bytes():
    """Memory resident now, after what is free was given back; None where /proc does not tell."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass  # another C library: its free memory counts
    return _status("VmRSS")


def own_bytes():
    """The part of the memory resident now that no file backs; None where /proc does not tell."""
    return _status("RssAnon")


def peak_bytes():
    """The most memory resident since `reset_peak`."""
    return _status("VmHWM")


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # the peak then counts from the start of the process


def allowed_cores():
    """The cores this process may use, in order; empty where that cannot be asked."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def stay_on(cores):
    """Keeps this process, and threads that start later, on `cores`; an empty list changes nothing."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def disk_bytes(path):
    """What the files below `path` occupy: blocks where the system counts them, so that holes are free."""
    if not os.path.isdir(path):
        return _occupied(path)
    return sum(_occupied(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _occupied(path):
    status = os.lstat(path)
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def _status(name):
    text = _field("/proc/self/status", name)
    return int(text.split()[0]) * 1024 if text else None


def _field(path, name):
    try:
        with open(path) as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return None
