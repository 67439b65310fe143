//! A scan result written by hand, with every shape that the output must carry. Tests only.

use portcullis_abi::{
    Arch, ArgValue, Assumed, Binary, Confidence, Language, Linkage, Location, Mode, Origin,
    Residual, ResidualKind, ScannedObject, Site, Syscall, SyscallSet, Sysno, ThreadSet, Tuple,
    Warning,
};

fn at(object: usize, address: u64, function: &str) -> Location {
    Location {
        object,
        address,
        function: (!function.is_empty()).then(|| function.to_owned()),
    }
}

fn call(number: u32, origin: Origin, confidence: Confidence) -> Syscall {
    Syscall {
        number: Sysno(number),
        origin,
        confidence,
        args: Vec::new(),
        sites: vec![Site {
            at: at(1, 0x9_1020, "syscall"),
            tuples: Vec::new(),
            paths: None,
        }],
        why: vec![
            at(0, 0x1040, "_start"),
            at(0, 0x1200, "main"),
            at(1, 0x9_1020, "syscall"),
        ],
    }
}

/// The result.
pub(crate) fn set() -> SyscallSet {
    let mut socket = call(41, Origin::Program, Confidence::Tight);
    socket.args = vec![
        (0, ArgValue::Values(vec![1, 2])),
        (
            1,
            ArgValue::Masked {
                mask: 0x80800,
                values: vec![1],
            },
        ),
        (2, ArgValue::Any),
    ];
    socket.sites[0].tuples = vec![Tuple {
        mode: Mode::Sound,
        via: vec![at(
            0,
            0x1300,
            "app::connect<std::path::PathBuf, \u{202e}evil\u{1b}[2J>",
        )],
        args: vec![
            (0, ArgValue::Values(vec![1])),
            (2, ArgValue::Ranges(vec![(0, 16, 4)])),
        ],
    }];
    let mut open = call(257, Origin::Program, Confidence::Direct);
    open.args = vec![(1, ArgValue::Text("/etc/\u{1b}]0;x\u{7}passwd".to_owned()))];
    SyscallSet {
        binary: Binary {
            path: "/usr/bin/app".to_owned(),
            script: Some(("/usr/bin/tool".to_owned(), Some("-e".to_owned()))),
            arch: Arch::X86_64,
            linkage: Linkage::Dynamic,
            stripped: true,
            languages: vec![Language::C, Language::Rust],
        },
        objects: vec![
            ScannedObject {
                path: "/usr/bin/app".to_owned(),
                soname: None,
                sha256: [0xab; 32],
            },
            ScannedObject {
                path: "/lib/x86_64-linux-gnu/libc.so.6".to_owned(),
                soname: Some("libc.so.6".to_owned()),
                sha256: [0x01; 32],
            },
        ],
        syscalls: vec![
            call(0, Origin::Program, Confidence::Direct),
            call(1, Origin::Program, Confidence::Direct),
            call(9, Origin::Loader, Confidence::Direct),
            call(15, Origin::Kernel, Confidence::Direct),
            socket,
            call(201, Origin::Vdso, Confidence::Sound),
            call(231, Origin::Program, Confidence::Direct),
            open,
            call(500, Origin::Program, Confidence::Sound),
        ],
        sets: vec![
            ThreadSet {
                thread: "main".to_owned(),
                phase: "startup".to_owned(),
                begins: Vec::new(),
                mode: Mode::Sound,
                numbers: vec![Sysno(0), Sysno(9)],
                made: None,
                starts: Vec::new(),
            },
            ThreadSet {
                thread: "main".to_owned(),
                phase: "main".to_owned(),
                begins: vec![0x1139],
                mode: Mode::Tight,
                numbers: vec![Sysno(0), Sysno(1), Sysno(41)],
                made: None,
                starts: Vec::new(),
            },
        ],
        residuals: vec![
            residual(
                ResidualKind::Exec,
                "execve of a path that is not constant",
                1,
            ),
            residual(ResidualKind::Module, "dlopen of \"libnss_%s.so\"", 1),
            residual(ResidualKind::Number, "number read from memory", 9),
        ],
        assumed: vec![Assumed {
            residual: residual(ResidualKind::Target, "a call of unknown target", 1),
            calls: vec![Sysno(0), Sysno(41)],
        }],
        warnings: vec![Warning {
            code: "PC0104",
            message: "int 0x80 at /usr/bin/app+0x1234".to_owned(),
        }],
    }
}

fn residual(kind: ResidualKind, detail: &str, depth: u64) -> Residual {
    Residual {
        id: format!("{}-libc.so.6-f", kind.name()),
        kind,
        at: at(1, 0x4_2000, ""),
        detail: detail.to_owned(),
        why: (0..depth)
            .map(|i| at(0, 0x2000 + i, &format!("step{i}")))
            .collect(),
    }
}
