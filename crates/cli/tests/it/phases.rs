//! Threads and phases: `scan --thread --phase --from`, `policy --phases`, `compile --phase`; and programs that are
//! held to them.

mod held;

use crate::place::Place;

/// A function that starts, one that serves, and a main function that calls them in turn; a thread.
const SERVER: &str = r#"
#include <pthread.h>
#include <sys/syscall.h>
#define call(n) ({ long r; __asm__ volatile("syscall" : "=a"(r) : "0"((long)n) : "rcx", "r11", "memory"); r; })
__attribute__((noinline)) void prepare(void) { call(SYS_getpgrp); }
__attribute__((noinline)) void serve(void) { call(SYS_getppid); }
static void *work(void *given) { call(SYS_getsid); return given; }
int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, work, 0)) return 1;
    prepare();
    serve();
    pthread_join(thread, 0);
    return 0;
}
"#;

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn what_comes_after_a_function() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let list = |args: &[&str]| {
        let all = [&["scan", "./server", "--list"], args].concat();
        place.portcullis(&all).expect(0).stdout
    };
    let all = list(&[]);
    for call in ["getpgrp", "getppid", "getsid"] {
        assert!(lines(&all).contains(&call), "{all}");
    }
    let main = list(&["--phase", "main"]);
    assert!(lines(&main).contains(&"getpgrp"), "{main}");
    assert!(!lines(&main).contains(&"getsid"), "{main}");
    let after = list(&["--from", "serve", "--phase", "after:serve"]);
    assert!(lines(&after).contains(&"getppid"), "{after}");
    assert!(!lines(&after).contains(&"getpgrp"), "{after}");
    assert!(lines(&after).contains(&"exit_group"), "{after}");
    let thread = list(&["--thread", "work"]);
    assert!(lines(&thread).contains(&"getsid"), "{thread}");
    assert!(!lines(&thread).contains(&"getppid"), "{thread}");

    let unknown = place.portcullis(&["scan", "./server", "--from", "nowhere"]);
    let unknown = unknown.expect(2);
    assert!(
        unknown.stderr.contains("no function `nowhere`"),
        "{}",
        unknown.stderr
    );
    let unknown = place.portcullis(&["scan", "./server", "--phase", "never"]);
    let unknown = unknown.expect(2);
    assert!(
        unknown.stderr.contains("main/startup"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_policy_with_phases_makes_a_filter_of_each() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let derive = [
        "policy", "./server", "--phases", "--from", "serve", "-o", "p.toml",
    ];
    place.portcullis(&derive).expect(0);
    let filter = |args: &[&str]| {
        let all = [&["compile", "p.toml"], args].concat();
        place.portcullis(&all).expect(0).stdout
    };
    let whole = filter(&[]);
    let after = filter(&["--phase", "after:serve"]);
    assert_ne!(whole, after);
    assert_ne!(filter(&["--thread", "work", "--phase", "main"]), after);
    let missing = place
        .portcullis(&["compile", "p.toml", "--phase", "never"])
        .expect(2);
    assert!(
        missing.stderr.contains("main/after:serve"),
        "{}",
        missing.stderr
    );
}
