#![allow(clippy::print_stdout, missing_docs, reason = "interim")]
use portcullis_scan::{image, isa::x86_64::Lifter, summary::summarise};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let image = image::load(std::path::Path::new(&a[1]), &[]).unwrap();
    let at = u64::from_str_radix(&a[2], 16).unwrap();
    let s = summarise(
        &image,
        &mut Lifter::default(),
        at,
        portcullis_scan::summary::Trust {
            frame: true,
            saved: true,
        },
    );
    for (n, b) in s.blocks.iter().enumerate() {
        println!(
            "{n}: {:x}..{:x} {:?} {:x?}",
            b.start, b.last, b.exit, b.references
        );
    }
    for i in 0..s.graph.len() {
        println!(
            "  {i} = {:x?}",
            s.graph.get(portcullis_scan::summary::ValueId(i as u32))
        );
    }
    for (n, p) in s.graph.phis.iter().enumerate() {
        println!("  phi {n} {p:?}");
    }
}
