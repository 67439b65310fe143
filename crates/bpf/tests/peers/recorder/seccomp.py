"""Stands in for libseccomp's Python module: makes no filter, but tells what it was asked for.

The programs in libseccomp's `tests` directory make one filter each. Run with this module in the place of
the real one they print, as JSON, the calls that they made. Names and numbers stay as they were given:
what they mean on which architecture is for the reader to say.

The environment says on which machine the program is to think that it runs: RECORDER_NATIVE is its
architecture, RECORDER_NAMES a JSON object of the names of its calls by number.
"""

import json
import os
import sys

NATIVE = os.environ["RECORDER_NATIVE"]
_NAMES = json.loads(os.environ["RECORDER_NAMES"])

# What Python says of a machine of that width.
if NATIVE in ("x86", "x32", "arm"):
    sys.maxsize = 2**31 - 1

KILL = KILL_THREAD = "KillThread"
KILL_PROCESS = "KillProcess"
ALLOW = "Allow"
LOG = "Log"
TRAP = "Trap"
NOTIFY = "Notify"


def ERRNO(number):
    return "Errno:%d" % number


def TRACE(data):
    return "Trace:%d" % data


NE, LT, LE, EQ, GE, GT, MASKED_EQ = "ne", "lt", "le", "eq", "ge", "gt", "masked"


def set_api(level):
    pass


def resolve_syscall(arch, call):
    """The number of a name, and the name of a number, of the native architecture."""
    if isinstance(call, str):
        return next(int(number) for number, name in _NAMES.items() if name == call)
    name = _NAMES.get(str(call))
    if name is None:
        raise ValueError("no such call: %d" % call)
    return name


class Arch:
    def __init__(self, name=NATIVE):
        self.name = name

    def __int__(self):
        return 0


class Attr:
    ACT_DEFAULT, ACT_BADARCH, CTL_NNP, CTL_TSYNC, API_TSKIP = range(1, 6)
    CTL_LOG, CTL_SSB, CTL_OPTIMIZE, API_SYSRAWRC, CTL_WAITKILL = range(6, 11)


def Arg(index, op, datum, second=0):
    # A program may compare with a file descriptor's number.
    return [index, op, datum, second]


class SyscallFilter:
    def __init__(self, default):
        self.reset(default)

    def reset(self, default=None):
        if default is not None:
            self.default = default
        self.bad_arch = KILL
        self.arches = [NATIVE]
        self.rules = []

    def add_arch(self, arch):
        if arch.name not in self.arches:
            self.arches.append(arch.name)

    def remove_arch(self, arch):
        self.arches.remove(arch.name)
        for rule in self.rules:
            if arch.name in rule["arches"]:
                rule["arches"].remove(arch.name)

    def merge(self, other):
        self.arches += other.arches
        self.rules += other.rules

    def set_attr(self, attr, value):
        if attr == Attr.ACT_BADARCH:
            self.bad_arch = value

    def syscall_priority(self, call, priority):
        pass

    def add_rule(self, action, call, *conditions):
        self.rules.append(
            {
                "action": action,
                "call": call,
                "conditions": list(conditions),
                "arches": list(self.arches),
            }
        )

    # Where a rule cannot be exact the library raises and keeps none; here it becomes none later.
    add_rule_exactly = add_rule

    def export_bpf(self, out):
        document = {
            "default": self.default,
            "bad_arch": self.bad_arch,
            "arches": self.arches,
            "rules": self.rules,
        }
        json.dump(document, out)

    export_pfc = export_bpf
