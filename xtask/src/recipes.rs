//! `cargo xtask recipes [NAME…]`: the commands of docs/recipes.md and docs/containers.md, run as they stand there.
//!
//! The documents are the data. A section is a recipe: the commands of its `console` blocks, one after another
//! by one shell in an empty directory, as root and as an ordinary user. Each must end with 0 and write to its
//! standard output what stands below it.

mod document;
mod shell;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{needs, place, portcullis};

pub(crate) use document::Recipe;
use shell::User;

/// The document.
const DOCUMENT: &str = "docs/recipes.md";
/// Packages of recipes that belong to `test --full` because of their size.
const LARGE: &[(&str, &str)] = &[
    ("/usr/bin/chromium", "chromium"),
    (
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
        "fonts-dejavu-core",
    ),
];

/// `cargo xtask recipes [NAME…]`: those whose headings begin so, or all.
pub(crate) fn run(words: &[String]) -> Result<()> {
    needs::provide()?;
    let command = portcullis::build(place::PROFILE)?;
    let chosen = all()?.into_iter().filter(|recipe| {
        let heading = recipe.heading.to_lowercase();
        words.is_empty()
            || words
                .iter()
                .any(|word| heading.starts_with(&word.to_lowercase()))
    });
    let chosen: Vec<Recipe> = chosen.collect();
    ensure!(!chosen.is_empty(), "no recipe's heading begins so");
    report(&command, &chosen)
}

/// Every recipe.
pub(crate) fn all() -> Result<Vec<Recipe>> {
    let text = fs::read_to_string(place::root().join(DOCUMENT)).context(DOCUMENT)?;
    document::read(&text).context(DOCUMENT)
}

/// Runs `chosen` and prints a line for each and a sum; an error when one failed or could not be run.
pub(crate) fn report(command: &Path, chosen: &[Recipe]) -> Result<()> {
    if chosen.iter().any(|recipe| recipe.large) {
        let missing = LARGE.iter().filter(|(file, _)| !Path::new(file).exists());
        let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
        if !missing.is_empty() {
            needs::install(&missing)?;
        }
    }
    println!("\nrunning {} recipes", chosen.len());
    let start = Instant::now();
    let mut failures = Vec::new();
    let users = User::all();
    for user in &users {
        let place = shell::Place::new(command, *user)?;
        for recipe in chosen {
            let name = format!("recipes::{}, as {user}", recipe.heading);
            let began = Instant::now();
            match place.run(recipe) {
                Ok(()) => println!("test {name} ... ok ({:.1}s)", began.elapsed().as_secs_f64()),
                Err(error) => {
                    println!("test {name} ... FAILED");
                    failures.push(format!("---- {name} ----\n{error:#}"));
                }
            }
        }
    }
    println!(
        "\nrecipes: {} passed, {} failed; finished in {:.1}s",
        chosen.len() * users.len() - failures.len(),
        failures.len(),
        start.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        return Ok(());
    }
    bail!("recipes failed:\n\n{}", failures.join("\n\n"))
}
