#![allow(clippy::print_stdout, missing_docs, reason = "interim")]
fn main() {
    for p in std::env::args().skip(1) {
        match portcullis_scan::scan_draft(std::path::Path::new(&p)) {
            Ok(s) => {
                println!(
                    "{p}: {} calls, {} residuals, {} warnings",
                    s.syscalls.len(),
                    s.residuals.len(),
                    s.warnings.len()
                );
                let n: Vec<_> = s
                    .syscalls
                    .iter()
                    .map(|c| {
                        s.binary
                            .arch
                            .name(c.number)
                            .map_or(c.number.to_string(), String::from)
                    })
                    .collect();
                println!("  {}", n.join(" "));
                for r in &s.residuals {
                    println!(
                        "  {} {:x} {:?} {}",
                        r.id, r.at.address, r.at.function, r.detail
                    );
                    if std::env::var_os("WHY").is_some() {
                        for w in &r.why {
                            println!(
                                "      {}+{:x} {:?}",
                                s.objects[w.object].path, w.address, w.function
                            );
                        }
                    }
                }
                for w in &s.warnings {
                    println!("  {} {}", w.code, w.message);
                }
            }
            Err(e) => println!("{p}: {e}"),
        }
    }
}
