//! The texts of [`explain`](super::explain).

use super::Explanation;

/// Every code, ascending. `PC01xx` and `PC02xx` are warnings of a scan, `PC030x` denials of a run,
/// `PC04xx` findings of `audit`, and the others findings of `policy lint`.
pub const CODES: &[Explanation] = &[
    Explanation {
        code: "PC0120",
        title: "A configuration file is not used",
        meaning: "A file that the loader or the C library reads, as /etc/ld.so.preload or \
                  /etc/nsswitch.conf, is there and cannot be read. The scan goes on as if it were \
                  not, so what it would load is not in the set.",
        advice: "Make the file readable and scan again.",
        example: "",
    },
    Explanation {
        code: "PC0121",
        title: "A library is not preloaded",
        meaning: "A library that LD_PRELOAD or /etc/ld.so.preload names cannot be loaded. The scan \
                  leaves it out, as ld.so does.",
        advice: "Check the path of the library; scan in the environment in which the program will \
                  run.",
        example: "",
    },
    Explanation {
        code: "PC0122",
        title: "A library of a plugin cannot be loaded",
        meaning: "A plugin, an audit module or a name service, or something that it needs, is \
                  missing or no library for this program. The program runs without it, and the \
                  scan goes on without it.",
        advice: "Install the library, or accept that what needs it cannot be loaded.",
        example: "",
    },
    Explanation {
        code: "PC0123",
        title: "A symbol is missing",
        meaning: "An object refers to names that no object of the program defines. Calls to them \
                  lead nowhere in the analysis; at run time they end the program, unless a library \
                  that is loaded later defines them.",
        advice: "Check that the right versions of the libraries are installed; name libraries \
                  that are loaded later as plugins.",
        example: "",
    },
    Explanation {
        code: "PC0124",
        title: "A relocation is not understood",
        meaning: "The object has relocations of a kind that the analysis does not know. What they \
                  write is taken to be unknown.",
        advice: "Look at the residuals near such words, and report the object.",
        example: "",
    },
    Explanation {
        code: "PC0125",
        title: "Relocations change code",
        meaning: "The loader writes into the object's code before it runs, as in libraries that \
                  are not position-independent. What such code does is analysed as it is in the \
                  file.",
        advice: "Build the object with -fPIC.",
        example: "docs/soundness.md lists this assumption.",
    },
    Explanation {
        code: "PC0126",
        title: "Code can be written over",
        meaning: "The object maps memory that can be both written and executed. What it holds \
                  after a write is unknown to the analysis.",
        advice: "Link without such segments (`-z separate-code`, no `-N`), or look at what writes \
                  there.",
        example: "docs/soundness.md lists this assumption.",
    },
    Explanation {
        code: "PC0201",
        title: "A call of another convention",
        meaning: "The program contains `int 0x80`, `sysenter` or the like, which on x86_64 reach \
                  the calls of i386. They are not analysed, and a derived filter kills them.",
        advice: "If the instruction is really executed, replace it; in most programs it is dead \
                  code.",
        example: "",
    },
    Explanation {
        code: "PC0202",
        title: "A call of x32",
        meaning: "The program makes a call whose number carries the bit of x32. Such calls are not \
                  analysed, and a derived filter kills them.",
        advice: "Build the program for x86_64.",
        example: "",
    },
    Explanation {
        code: "PC0203",
        title: "The analysis met its bound",
        meaning: "The analysis met its bound before all callers of shared functions were told \
                  apart. The set is larger than needed, never smaller.",
        advice: "Nothing must be done; what is allowed too much can be denied by hand.",
        example: "",
    },
    Explanation {
        code: "PC0204",
        title: "Executable stacks are relied on not to be",
        meaning: "The C library makes stacks executable where an object asks for it. None of the \
                  scanned objects does, and the analysis relies on that.",
        advice: "Do not load libraries with an executable PT_GNU_STACK later.",
        example: "docs/soundness.md lists this assumption.",
    },
    Explanation {
        code: "PC0205",
        title: "An assumption is stale",
        meaning: "A statement about a residual names one that the program no longer has. It has no \
                  effect.",
        advice: "Remove the statement, or look for the residual under its new name.",
        example: "",
    },
    Explanation {
        code: "PC0206",
        title: "A phase is never reached",
        meaning: "No way leads to the function whose end begins the phase. Nothing comes after it, \
                  and the set of the phase is empty.",
        advice: "Check the name of the function, and that the program calls it.",
        example: "",
    },
    Explanation {
        code: "PC0207",
        title: "Variables without symbols are taken to be apart",
        meaning: "The C library has no symbols for some of its variables. The analysis takes them \
                  to be apart from what lies before them in memory.",
        advice: "Scan with the library's symbols at hand to drop the assumption.",
        example: "docs/soundness.md lists this assumption.",
    },
    Explanation {
        code: "PC0208",
        title: "Variables of Go are taken to be apart",
        meaning: "A number of a system call is read from a variable of a Go program. The analysis \
                  takes it to be reached by its own name and by pointers to it alone: Go checks \
                  each index, and its pointers stay inside what they point to.",
        advice: "Nothing, unless the program works on its own variables through package unsafe.",
        example: "docs/soundness.md lists this assumption.",
    },
    Explanation {
        code: "PC0301",
        title: "A call was denied",
        meaning: "The confined program made a call that its policy does not allow, and the policy's \
                  answer was a kill or a SIGSYS.",
        advice: "Look at the call chain in the verdict. If the program needs the call, allow it with \
                  `--allow` or the rule that the verdict shows, state so with `--assume`, name the \
                  plugin that makes it, or report the gap: a call of analysed code that is missing in \
                  the set is a defect.",
        example: "docs/diagnosis.md reads one.",
    },
    Explanation {
        code: "PC0302",
        title: "A call was let through",
        meaning: "The program was observed and not confined: a call outside the set was made and \
                  reported.",
        advice: "Decide whether the program needs it before you confine it.",
        example: "",
    },
    Explanation {
        code: "PC0303",
        title: "A call of another architecture was denied",
        meaning: "The program made a call by the way of another architecture, or of x32. Such \
                  calls are no part of the set and are killed.",
        advice: "Look at the place in the verdict: for `int 0x80` or generated code in a program, or for \
                 a program of another architecture that was started. Nothing allows it.",
        example: "",
    },
    Explanation {
        code: "PC0304",
        title: "A call was answered with an error",
        meaning: "The confined program made a call that its policy does not allow, and the call \
                  failed with the error that the policy says. The program went on.",
        advice: "Nothing when the program does without the call. Otherwise allow it with `--allow` or \
                  the rule that the verdict shows.",
        example: "io_uring_setup is answered ENOSYS by derived policies.",
    },
    Explanation {
        code: "PC0305",
        title: "A filter with a listener was refused",
        meaning: "The program wanted to install a filter whose calls a supervisor of its own answers \
                  (SECCOMP_FILTER_FLAG_NEW_LISTENER). Its answers would come before those of the \
                  tracer, which could then be gone around, so it got EBUSY.",
        advice: "Run such a program, which confines others itself, without `run`.",
        example: "",
    },
    Explanation {
        code: "PC0306",
        title: "A filter of the program's own killed it",
        meaning: "The program made a call that the policy of the run lets be made, and a filter that the \
                  program installed itself killed the process or the thread for it.",
        advice: "It is the program's own affair: look at the call and its chain, and at the filter that the \
                 program is built with. Without `run` the same happens.",
        example: "A program with a built-in list of calls, after an update of its C library.",
    },
    Explanation {
        code: "PC0307",
        title: "Landlock denied something",
        meaning: "An audit record of the kernel says that the Landlock rules of the run did not allow what \
                  a process of it asked for: the access in the kernel's words, and the file or other object. The \
                  call failed with an error, and the program went on.",
        advice: "Nothing when the program does without. Otherwise name the tree with `--write`, or leave the \
                 layer out with `--allow-insecure landlock`.",
        example: "docs/diagnosis.md says where such records can be read.",
    },
    Explanation {
        code: "PC0308",
        title: "A filter denied a call, by the kernel's audit record",
        meaning: "A record says that a filter denied a call of a process of the run, and no stop of the \
                  tracer showed it. A record has no arguments, so the rule cannot be told, nor whether the \
                  filter was the run's or one of the program's own.",
        advice: "Look at the call and the process. Before Linux 5.16 a child that shares its parent's memory \
                 (vfork(2)) is told in this way only.",
        example: "",
    },
    Explanation {
        code: "PC0309",
        title: "A limit was reached",
        meaning: "The kernel's counters of the run's cgroup say that something came up against a limit of \
                  the run: a process or thread was not made (EAGAIN), or one was ended for want of memory. \
                  Who it was they do not say.",
        advice: "Give more with `--limit`, if the program needs it.",
        example: "`--limit processes=32`",
    },
    Explanation {
        code: "PC0310",
        title: "The upper half of a register decides",
        meaning: "The rule compares 64 bits of an argument of which the kernel reads 32. Whoever \
                  sets a bit in the upper half changes what the rule says and not what the kernel \
                  does: a denied call passes, or an allowed one is denied.",
        advice: "Compare 32 bits.",
        example: "CVE-2019-7303 (snapd) and CVE-2019-10063 (flatpak): TIOCSTI with a set upper \
                  half passed the filter and put input into the user's terminal.",
    },
    Explanation {
        code: "PC0311",
        title: "A value is compared by its lower half",
        meaning: "The rule compares 32 bits of an argument of which the kernel reads 64. Values \
                  that differ only in the upper half count as the same, and a size or an offset \
                  can be anything.",
        advice: "Compare 64 bits.",
        example: "firedancer 9185 and shadow 3034 compared addresses by half; libseccomp's `_32` \
                  macros cut only the constant.",
    },
    Explanation {
        code: "PC0312",
        title: "Calls of x32 pass the list",
        meaning: "The filter denies by number and never looks at bit 30. On a kernel with x32 each \
                  denied call has a second number, which is allowed. A list of what is allowed is \
                  not affected.",
        advice: "Answer numbers with the bit of x32 as foreign calls, with `kill`.",
        example: "firejail 87, go-seccomp-bpf 5 and 7, kafel 19, seccompiler 74.",
    },
    Explanation {
        code: "PC0313",
        title: "Calls of other architectures are allowed",
        meaning: "A denied call can be had under the number of another architecture that the \
                  kernel runs, on x86_64 through `int 0x80`. The same number means other calls \
                  there.",
        advice: "Answer foreign calls with `kill`, or give each architecture a table.",
        example: "graphene 89, firejail 86 and 291, lxc 571.",
    },
    Explanation {
        code: "PC0314",
        title: "Another call does the same",
        meaning: "A call is denied or has conditions, and another one that does the same is \
                  allowed without any.",
        advice: "Treat the calls of a family alike: open, openat, openat2 and creat; the *at \
                  calls; clone, clone3, fork and vfork; dup, dup2 and dup3.",
        example: "A policy that denies `open` for writing and allows `openat`.",
    },
    Explanation {
        code: "PC0315",
        title: "A call that makes others is allowed",
        meaning: "On i386 `socketcall` and `ipc` make socket and System V calls by a number in \
                  their first argument, with the other arguments behind a pointer. Rules for the \
                  calls themselves do not see that.",
        advice: "Allow the multiplexer only for the first arguments that are meant, or deny it: C \
                  libraries use the direct calls since Linux 4.3.",
        example: "moby 7158007 denied socketcall and lost the rule on the way (3c28324 reverts \
                  it); systemd 4575, 5215.",
    },
    Explanation {
        code: "PC0316",
        title: "The same is asked behind a pointer",
        meaning: "`clone3` and `openat2` take a structure in memory. A filter does not see it, so \
                  conditions on `clone` or `openat` are passed where they are allowed.",
        advice: "Answer them with ENOSYS; C libraries then take the call that can be filtered.",
        example: "moby 42680: clone3 is answered ENOSYS because clone is filtered by its flags.",
    },
    Explanation {
        code: "PC0317",
        title: "An address is compared",
        meaning: "The argument is a pointer. Its value says nothing about what it leads to, and \
                  memory can change after the look.",
        advice: "Filter by the number alone, or let a supervisor or Landlock decide about paths.",
        example: "",
    },
    Explanation {
        code: "PC0318",
        title: "io_uring passes the filter",
        meaning: "What is queued in a ring is done by the kernel itself: opening files, sockets, \
                  reading and writing make no call that a filter sees.",
        advice: "Answer io_uring_setup, io_uring_enter and io_uring_register with ENOSYS, as \
                  kernel.io_uring_disabled does with EPERM.",
        example: "Docker's and containerd's default profiles deny io_uring since 2023 for this \
                  reason.",
    },
    Explanation {
        code: "PC0319",
        title: "A rule decides nothing",
        meaning: "Earlier rules answer every call that the rule could answer, all arguments \
                  considered. If its answer differs from theirs, somebody meant something else.",
        advice: "Remove the rule, or put it before what answers its calls.",
        example: "kafel drops such rules silently; runc 3109; crun takes the first rule of a call.",
    },
    Explanation {
        code: "PC0320",
        title: "The conditions exclude one another",
        meaning: "No arguments fulfil all conditions of the rule.",
        advice: "Correct the conditions, or remove the rule.",
        example: "`arg0 == 1 && arg0 == 2`, where alternatives were meant.",
    },
    Explanation {
        code: "PC0321",
        title: "A rule has no effect",
        meaning: "What the rule answers would be answered alike without it, by a later rule or by \
                  the default.",
        advice: "Remove it, unless it is there for people to read. libseccomp refuses such rules, \
                  and runc skips them.",
        example: "moby 7158007: an explicit EPERM rule that equalled the default vanished, and \
                  another one prevailed.",
    },
    Explanation {
        code: "PC0322",
        title: "Several conditions on one argument",
        meaning: "All conditions of a rule must hold here, also when several are about one \
                  argument. Other tools read that otherwise.",
        advice: "Say it by one range or mask. libseccomp takes one condition for each argument of \
                  a rule, and runc and youki make alternatives of more.",
        example: "youki 3489.",
    },
    Explanation {
        code: "PC0323",
        title: "Conditions stand in rules of their own",
        meaning: "Two rules allow a call, each with a condition on another argument. Either is \
                  enough, which is seldom meant.",
        advice: "Put both conditions into one rule where both must hold.",
        example: "CVE-2017-18367: libseccomp-golang joined several arguments by OR where AND was \
                  asked (moby 39409).",
    },
    Explanation {
        code: "PC0324",
        title: "The error number is too large",
        meaning: "The kernel returns error numbers up to 4095 and makes larger ones to that.",
        advice: "Choose a number of errno(3).",
        example: "youki 2022, pelagos 267.",
    },
    Explanation {
        code: "PC0325",
        title: "The C library falls back after ENOSYS only",
        meaning: "A new call is denied with another error, and the older call that does the same \
                  is allowed. C libraries try the older one only when the kernel says that the new \
                  one does not exist.",
        advice: "Answer the new call with ENOSYS.",
        example: "clone3 (moby 42681), faccessat2 (runc 2151), openat2 (crun 546), statx (runtime- \
                  spec 1122), rseq (cloud-hypervisor 4004).",
    },
    Explanation {
        code: "PC0326",
        title: "Newer calls are refused",
        meaning: "Calls that no table knows yet are answered with another error than ENOSYS. \
                  Programs that try a new call first take that for a refusal and do not fall back.",
        advice: "Answer newer calls with ENOSYS and keep the default for what is known.",
        example: "runc adds ENOSYS for numbers above the profile's newest; moby 42871.",
    },
    Explanation {
        code: "PC0327",
        title: "A call that the kernel inserts is denied",
        meaning: "rt_sigreturn ends every signal handler, and restart_syscall continues a wait \
                  that was stopped. Programs do not write them, and traces seldom show them.",
        advice: "Allow them without conditions.",
        example: "",
    },
    Explanation {
        code: "PC0328",
        title: "The vDSO's calls are denied",
        meaning: "Programs ask the vDSO for the time. Where the machine's clock allows no reading \
                  from user space, as in some virtual machines, it makes the call.",
        advice: "Allow clock_gettime, gettimeofday, time and getcpu.",
        example: "cloud-hypervisor 971, 2094 and 6967; zathura 368; libseccomp 70.",
    },
    Explanation {
        code: "PC0329",
        title: "A call that undoes confinement is allowed",
        meaning: "The call reaches other processes, the kernel's code or the namespaces, and has a \
                  history of ways out of sandboxes.",
        advice: "Keep it only where the program is trusted with that, and ask for arguments where \
                  they are in registers.",
        example: "",
    },
    Explanation {
        code: "PC0330",
        title: "TIOCLINUX is forgotten",
        meaning: "Both ioctls put input into a terminal, as if the user had typed it. Only TIOCSTI \
                  is denied.",
        advice: "Deny TIOCLINUX (0x541c), too, or give the program a session without the user's \
                  terminal.",
        example: "CVE-2023-28100 (flatpak), CVE-2023-1523 (snapd).",
    },
    Explanation {
        code: "PC0331",
        title: "A register that is not used is compared",
        meaning: "The call takes fewer arguments. What the register holds is left over from \
                  before, and differs from one build to the next.",
        advice: "Count arguments from 0, and remove the condition.",
        example: "",
    },
    Explanation {
        code: "PC0332",
        title: "A phase of the program takes the call away",
        meaning: "The call is in the set, but not in what the program can still do from some point on \
                  (`run --phases`, or the phases of a policy), and it was made after that point. \
                  Either the analysis could not tell that it is made there, or somebody who took the \
                  program over wanted it.",
        advice: "Allow it in all phases with `--allow`, or take the phase out of the policy.",
        example: "",
    },
    Explanation {
        code: "PC0401",
        title: "A call is missing",
        meaning: "A place that can be reached makes a call that the filter answers by its \
                  default or by a rule that kills.",
        advice: "Allow the call, or answer it by a rule with an error number if the \
                  program shall do without.",
        example: "",
    },
    Explanation {
        code: "PC0402",
        title: "A call that the kernel makes is missing",
        meaning: "The kernel makes it for the program: rt_sigreturn when a signal handler \
                  returns, restart_syscall when a wait goes on after a stop. It fails only \
                  on such a day.",
        advice: "Allow the call.",
        example: "",
    },
    Explanation {
        code: "PC0403",
        title: "A call that the vDSO falls back on is missing",
        meaning: "The vDSO answers it in user space, and makes the call where it cannot: \
                  with another clock source, in a virtual machine.",
        advice: "Allow the call.",
        example: "",
    },
    Explanation {
        code: "PC0404",
        title: "A rule is redundant",
        meaning: "Without it no call that the program can make would be answered \
                  otherwise, and nothing is left open that could need it.",
        advice: "Remove the rule.",
        example: "",
    },
    Explanation {
        code: "PC0405",
        title: "A rule is too broad",
        meaning: "All that needs the rule passes constants, and it allows more.",
        advice: "Write the constants down.",
        example: "",
    },
    Explanation {
        code: "PC0406",
        title: "A rule may be needed",
        meaning: "Nothing that is known needs the rule, or all of it, but something is \
                  left open that could: the residuals that are named.",
        advice: "Resolve them (--assume, --exec, --plugin), or keep the rule.",
        example: "",
    },
    Explanation {
        code: "PC0407",
        title: "A call may be denied",
        meaning: "It is denied with some arguments, and which are passed is not known; or \
                  whether the filter is there at that time is not.",
        advice: "Look at the place, and allow what it needs.",
        example: "",
    },
    Explanation {
        code: "PC0408",
        title: "There are more cases than are looked at",
        meaning: "The rules cut the arguments of the call into too many parts. Nothing is \
                  said of them.",
        advice: "Write fewer rules for the call.",
        example: "",
    },
    Explanation {
        code: "PC0409",
        title: "Nobody is known to be under the filter",
        meaning: "No thread of the program is called like the filter.",
        advice: "Name its thread: --thread NAME=FUNCTION.",
        example: "",
    },
    Explanation {
        code: "PC0410",
        title: "A call is denied on purpose",
        meaning: "A rule answers it with an error number: somebody decided that the \
                  program does without. This is no finding.",
        advice: "There is nothing to do.",
        example: "",
    },
    Explanation {
        code: "PC0411",
        title: "An accepted finding is none any more",
        meaning: "The file of accepted findings has an entry for what is not found.",
        advice: "Remove the entry.",
        example: "",
    },
    Explanation {
        code: "PC0501",
        title: "A recorded program has a filter of its own",
        meaning: "The program put a seccomp filter on itself. What such a filter denies is seen only \
                  where each call stops before any filter, so the program is recorded at every call \
                  from then on, which is slower.",
        advice: "There is nothing to do: the trace has what was denied, with its error.",
        example: "",
    },
    Explanation {
        code: "PC0502",
        title: "A filter was put on threads that ran free",
        meaning: "A thread put a filter on all threads of its process (SECCOMP_FILTER_FLAG_TSYNC) \
                  while the known calls of some of them ran free. Calls that the filter denied to \
                  those, until each was met the next time, are missing in the trace.",
        advice: "Record once with --full, where no call runs free.",
        example: "",
    },
    Explanation {
        code: "PC0503",
        title: "A recorded program called ptrace",
        meaning: "A task has one tracer, and here that is the recorder: the kernel refuses others. The \
                  program saw the refusal and may have behaved differently: debuggers do not work \
                  inside, and programs that look for debuggers find one.",
        advice: "Record a part of the program that does not trace, or take a trace by other means.",
        example: "",
    },
    Explanation {
        code: "PC0504",
        title: "A program ran without the privileges of its file",
        meaning: "The file is set-user-ID or set-group-ID or has capabilities, and who is traced gains \
                  none: the program ran with the rights of who started it.",
        advice: "Record as root.",
        example: "",
    },
    Explanation {
        code: "PC0505",
        title: "A recorded program set up an io_uring",
        meaning: "What a program asks the kernel for by a ring is no system call: neither a recorder \
                  nor a filter sees it.",
        advice: "Look at what the program uses the ring for. `run` answers io_uring with ENOSYS.",
        example: "",
    },
    Explanation {
        code: "PC0506",
        title: "A recorded program asked for a child without a tracer",
        meaning: "The program passed CLONE_UNTRACED. The flag was taken out of the call, so that the \
                  child is recorded as well, and no call of it waits for a tracer that it does not \
                  have.",
        advice: "There is nothing to do.",
        example: "",
    },
    Explanation {
        code: "PC0507",
        title: "There were more different calls than are told apart",
        meaning: "A recording keeps 262144 different calls (32768 with the back-end ebpf) and 4096 programs. What \
                  came after is not in the trace.",
        advice: "Record less at a time: it is likely that one program makes calls with ever new \
                 values.",
        example: "",
    },
    Explanation {
        code: "PC0508",
        title: "A program with a filter of its own was recorded behind it",
        meaning: "Programs in the kernel (`record --backend ebpf`) see a call behind the program's filters. What a \
                  filter denies is seen at the call's return, by its result; a call for which it ends one thread \
                  of several (kill-thread) does not return and is not seen.",
        advice: "To see also that, record with `--backend full`, which stops before filters.",
        example: "",
    },
    Explanation {
        code: "PC0509",
        title: "Programs in the kernel lost something",
        meaning: "There were more tasks (32768) or programs (4096) at one time than the kernel's tables hold. What was \
                  lost is not in the trace: it is not complete.",
        advice: "Record less at a time, or with another back-end.",
        example: "",
    },
    Explanation {
        code: "PC0510",
        title: "There was no room to tell of a call when it was made",
        meaning: "New calls came faster than the recorder read of them. No call is lost by that: the kernel's table \
                  of them is read in the end. But paths and the code that made it are not known of one that was not \
                  made again.",
        advice: "There is nothing to do; another run may have room.",
        example: "",
    },
    Explanation {
        code: "PC0511",
        title: "The kernel left out a program that sees calls",
        meaning: "Since Linux 7.0 a task can lose its processor while a program at a tracepoint runs for it, and until it \
                  has it again the kernel does not run that program for others on that processor. It counts that, for \
                  all tasks of the machine (recursion_misses of struct bpf_prog_info). A call that was not seen at its \
                  entry is told and counted at its return; what is missing is a call that was left out at both, and the \
                  result of one that was left out at its return.",
        advice: "Record again and merge the traces, or use another back-end where every call has to be there.",
        example: "",
    },
];
