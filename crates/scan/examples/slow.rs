#![allow(clippy::print_stdout, missing_docs, reason = "interim")]
use portcullis_scan::{image, isa::x86_64::Lifter, summary::summarise};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let image = image::load(std::path::Path::new(&a[1]), &[]).unwrap();
    let mut l = Lifter::default();
    let mut n = 0;
    let t0 = std::time::Instant::now();
    let mut nodes = 0;
    let mut blocks = 0;
    for at in image.starts(a[2].parse().unwrap()) {
        if std::env::var_os("V").is_some() {
            println!("{at:x}");
        }
        let t = std::time::Instant::now();
        let s = summarise(
            &image,
            &mut l,
            at,
            portcullis_scan::summary::Trust {
                frame: true,
                saved: true,
            },
        );
        n += 1;
        nodes += s.graph.len();
        blocks += s.blocks.len();
        if t.elapsed().as_millis() > 50 {
            println!(
                "{at:x} {:?} blocks {} nodes {}",
                t.elapsed(),
                s.blocks.len(),
                s.graph.len()
            );
        }
    }
    println!(
        "{n} functions {:?} nodes {nodes} blocks {blocks}",
        t0.elapsed()
    );
}
