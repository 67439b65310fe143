//! Jobs that come to the same bytes on every machine: on both architectures, whatever the processor has, whatever the kernel.
//! What they come to stands here.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use portcullis_host::{
    ALLOCATIONS, Artifact, Done, Given, Job, Limits, Pool, Preparation, Request, Settings, prepare,
};
use portcullis_wasm::carried;
use sha2::{Digest as _, Sha256};

/// Does what its first argument says.
const MODULE: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open
    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 900) "inout")
  ;; One buffer to a descriptor.
  (func $put (param $fd i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $open (param $name i32) (param $length i32) (param $how i32) (param $rights i64) (result i32)
    (drop (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (local.get $length) (local.get $how)
      (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 16)))
    (i32.load (i32.const 16)))

  ;; What processors do in different ways: numbers that are none, fused steps, the order of lanes.
  (func $numbers (local $n i32) (local $x f64) (local $y f32)
    (local.set $x (f64.const 1.5))
    (local.set $y (f32.const 0.1))
    (loop $more
      (local.set $x (f64.sqrt (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.const 0.7))))
      (local.set $y (f32.div (f32.mul (local.get $y) (f32.const 1.7)) (f32.sqrt (local.get $y))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))
    (f64.store (i32.const 1024) (local.get $x))
    (f32.store (i32.const 1032) (local.get $y))
    (f64.store (i32.const 1040) (f64.div (f64.const 0) (f64.const 0)))
    (f64.store (i32.const 1048) (f64.add (f64.const nan:0x123) (f64.const -1)))
    (f32.store (i32.const 1056) (f32.demote_f64 (f64.sub (f64.const inf) (f64.const inf))))
    (f64.store (i32.const 1064) (f64.promote_f32 (f32.neg (f32.sqrt (f32.const -1)))))
    (f64.store (i32.const 1072) (f64.min (f64.const nan:0x777) (f64.const 1)))
    (v128.store (i32.const 1080) (f32x4.relaxed_madd
      (v128.const f32x4 0.1 1e20 3 nan) (v128.const f32x4 0.3 1e20 7 1) (v128.const f32x4 -0.03 -inf 1e-9 2)))
    (v128.store (i32.const 1096) (i8x16.relaxed_swizzle
      (v128.const i64x2 0x0123456789abcdef 0x7766554433221100) (v128.const i64x2 0x10ff0f8001020304 0x1f1e1d1c0b0a0908)))
    (v128.store (i32.const 1112) (f32x4.relaxed_min
      (v128.const f32x4 nan -0 1 2) (v128.const f32x4 1 0 nan 3)))
    (i64.store (i32.const 1128) (i64.trunc_sat_f64_s (f64.const 1e300)))
    (i32.store (i32.const 1136) (i32.trunc_sat_f32_u (f32.const nan)))
    (call $put (i32.const 1) (i32.const 1024) (i32.const 116)))

  (func $asked
    (drop (call $environ (i32.const 1500) (i32.const 1024)))
    (drop (call $random (i32.const 1032) (i32.const 24)))
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 1056)))
    (call $put (i32.const 1) (i32.const 1024) (i32.const 40)))

  (func $files (local $in i32) (local $out i32)
    (local.set $in (call $open (i32.const 900) (i32.const 2) (i32.const 0) (i64.const 0x200002)))
    (local.set $out (call $open (i32.const 902) (i32.const 3) (i32.const 9) (i64.const 0x200040)))
    (i32.store (i32.const 0) (i32.const 2048))
    (i32.store (i32.const 4) (i32.const 100))
    (drop (call $fd_read (local.get $in) (i32.const 0) (i32.const 1) (i32.const 20)))
    (call $put (local.get $out) (i32.const 2048) (i32.load (i32.const 20)))
    (call $put (local.get $out) (i32.const 2048) (i32.load (i32.const 20)))
    (drop (call $stat (local.get $out) (i32.const 1024)))
    (drop (call $readdir (i32.const 3) (i32.const 1088) (i32.const 100) (i64.const 0) (i32.const 24)))
    (call $put (i32.const 1) (i32.const 1024) (i32.add (i32.const 64) (i32.load (i32.const 24)))))

  (func $steps (loop $more (call $put (i32.const 1) (i32.const 900) (i32.const 1)) (br $more)))
  (func $deeper (param $n i32) (result i32)
    (i32.add (i32.const 1) (call $deeper (i32.add (local.get $n) (i32.const 1)))))
  (func $memory (loop $more (drop (memory.grow (i32.const 100))) (br $more)))

  (func (export "_start") (local $what i32)
    (drop (call $args (i32.const 128) (i32.const 256)))
    (local.set $what (i32.load8_u (i32.load (i32.const 132))))
    (if (i32.eq (local.get $what) (i32.const 110)) (then (call $numbers)))
    (if (i32.eq (local.get $what) (i32.const 97)) (then (call $asked)))
    (if (i32.eq (local.get $what) (i32.const 102)) (then (call $files)))
    (if (i32.eq (local.get $what) (i32.const 115)) (then (call $steps)))
    (if (i32.eq (local.get $what) (i32.const 100)) (then (drop (i32.div_s (i32.const 1) (i32.load (i32.const 60000))))))
    (if (i32.eq (local.get $what) (i32.const 114)) (then (drop (call $deeper (i32.const 0)))))
    (if (i32.eq (local.get $what) (i32.const 109)) (then (call $memory)))))"#;

/// What the module becomes when steps are counted: the same code on every processor of an architecture, so that calls fit into
/// each other equally often. Another version of the engine makes another one.
const CODE: &str = match cfg!(target_arch = "aarch64") {
    true => "2a5db897b693e735d6b361b7d137b55fb70541b12215511e764ea9683f59d9d6",
    false => "f962448e5eef79f04a145b46795fc09eaf7eaccdb50e1431963d8cae04f4c87f",
};

/// How often each is done, by one worker.
const TIMES: u32 = 10;

/// What is done, what becomes of it, and what it writes to standard output.
const CASES: [(&str, &str, &str); 7] = [
    (
        "numbers",
        "Ok",
        "1d00000000803a40c3f5384000000000000000000000f87f000000000000f87f0000c07f00000000000000000000f87f\
         000000000000f87f52b81e31000080ff0000a8410000c07f6789abcd0077000000112233000000000000c07f00000080\
         0000c07f00000040ffffffffffffff7f00000000",
    ),
    (
        "asked",
        "Ok",
        "4e414d453d697300afcd1d7b39a820e2f465b9a16a9e786e4f450980185dc4060000000000000000",
    ),
    (
        "files",
        "Ok",
        "010000000000000003000000000000000400000000000000010000000000000010000000000000000000000000000000\
         00000000000000000000000000000000030000000000000002000000000000000200000004000000696e040000000000\
         0000030000000000000003000000040000006f7574",
    ),
    (
        "steps",
        "Limit(Fuel)",
        "696969696969696969696969696969696969696969696969696969696969696969696969696969696969696969696969\
         696969696969696969",
    ),
    (
        "division",
        "JobError(Trap(\"wasm trap: integer divide by zero\"))",
        "",
    ),
    (
        "recursion",
        "JobError(Trap(\"wasm trap: call stack exhausted\"))",
        "",
    ),
    ("memory", "Limit(Memory)", ""),
];

#[test]
fn jobs_come_to_the_same_everywhere() {
    let module = wat::parse_str(MODULE).unwrap();
    let preparation = Preparation {
        module: &module,
        metered: true,
        bounds: portcullis_sandbox::Limits::default(),
        allocations: ALLOCATIONS,
    };
    let artifact = prepare(&carried::prepare(), &preparation, &[]).unwrap();
    assert_eq!(hex(&Sha256::digest(&artifact)), CODE);
    let artifact = Arc::new(Artifact::trusted(&artifact).unwrap());
    let mut settings = Settings::new(carried::execute());
    settings.sizes.workers = NonZeroU32::MIN;
    // Not every user can have a control group.
    settings.memory = None;
    let pool = Pool::new(settings).unwrap();
    let expected =
        CASES.map(|(what, outcome, stdout)| (what, outcome.to_owned(), stdout.to_owned()));
    for _ in 0..TIMES {
        let found = CASES.map(|(what, ..)| {
            let fuel = if what == "steps" { 1_000 } else { 10_000_000 };
            let request = Request::new("tenant", Arc::clone(&artifact), job(what, fuel));
            let finished = pool.run(request).unwrap();
            let done = finished.done().unwrap();
            let written = match what {
                "files" => Ok(b"content\ncontent\n".to_vec()),
                _ => Err("missing"),
            };
            assert_eq!(taken(done), written, "{what}");
            (what, format!("{:?}", done.outcome), hex(&done.stdout))
        });
        assert_eq!(found, expected);
    }
}

fn job(what: &str, fuel: u64) -> Job {
    let file = Given {
        name: "in".to_owned(),
        bytes: b"content\n".to_vec(),
        executable: false,
    };
    Job {
        arguments: vec!["module".to_owned(), what.to_owned()],
        environment: vec!["NAME=is".to_owned()],
        files: vec![file],
        wanted: vec!["out".to_owned()],
        limits: Limits {
            cpu: Duration::from_secs(600),
            wall: Duration::from_secs(6000),
            memory: 64 << 20,
            fuel: Some(fuel),
            ..Limits::default()
        },
        ..Job::default()
    }
}

fn taken(done: &Done) -> Result<Vec<u8>, &'static str> {
    let [file] = &done.files[..] else {
        panic!("{done:?}")
    };
    file.content.clone().map_err(|why| why.name())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
