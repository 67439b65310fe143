//! A program for tests that look at what Go's compiler and linker make.

use std::path::PathBuf;
use std::process::Command;

use crate::files::HostFiles;
use crate::image::Image;
use crate::link::{LinkRequest, link};

/// Brings much of Go's library into one file.
const SOURCE: &str = r#"
    package main

    import (
        "fmt"
        "os"
        "text/template"
        "time"
        "unicode"
    )

    func main() {
        t, _ := template.New("t").Parse(os.Args[0])
        t.Execute(os.Stdout, time.Now())
        fmt.Println(unicode.IsUpper(rune(len(os.Args))), os.Getpid())
    }
"#;

/// It, built without the C library and with these arguments, and linked.
pub(crate) fn linked(arguments: &[&str]) -> Image {
    let place = tempfile::tempdir().unwrap();
    let [source, program]: [PathBuf; 2] = ["p.go", "p"].map(|name| place.path().join(name));
    std::fs::write(&source, SOURCE).unwrap();
    let cache = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/go");
    let mut build = Command::new("go");
    build.arg("build").args(arguments).arg("-o");
    build.arg(&program).arg(&source);
    build.env("CGO_ENABLED", "0").env("GOCACHE", cache);
    let built = build.output().expect("go is there");
    assert!(built.status.success(), "{built:?}");
    link(&HostFiles::default(), &program, &LinkRequest::default()).unwrap()
}
