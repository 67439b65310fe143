//! A document of recipes, read: headings, commands, and what each must write.

use anyhow::{Result, ensure};

/// A line that stands for any number of lines.
const ANYTHING: &str = "[…]";
/// What begins a command, and what goes on with it.
const PROMPTS: [&str; 2] = ["$ ", "> "];
/// Stands in a section whose packages are large, or whose analysis takes minutes.
const LARGE: &str = "<!-- test: --full -->";

/// A section with commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    /// Its heading.
    pub(crate) heading: String,
    /// It belongs to `test --full`.
    pub(crate) large: bool,
    /// Its commands.
    pub(crate) steps: Vec<Step>,
}

/// A command and what it writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// The line of the document.
    pub(crate) line: usize,
    /// For a shell; with a here-document several lines.
    pub(crate) command: String,
    /// Lines of standard output.
    pub(crate) writes: Vec<String>,
}

impl Step {
    /// It is left running: a server.
    pub(crate) fn serves(&self) -> bool {
        self.command.trim_end().ends_with('&')
    }

    /// It looks at how the command before it ended, which may then be any way.
    pub(crate) fn judges(&self) -> bool {
        self.command.contains("$?")
    }

    /// Whether `output` is what must be written.
    pub(crate) fn fits(&self, output: &str) -> bool {
        let wanted: Vec<&str> = self.writes.iter().map(String::as_str).collect();
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        fits(&wanted, &lines)
    }
}

fn fits(wanted: &[&str], lines: &[&str]) -> bool {
    match wanted.split_first() {
        None => lines.is_empty(),
        Some((&ANYTHING, rest)) => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        Some((first, rest)) => lines.first() == Some(first) && fits(rest, &lines[1..]),
    }
}

/// The recipes of a document: its sections of the second level that have `console` blocks.
pub(crate) fn read(text: &str) -> Result<Vec<Recipe>> {
    let mut recipes: Vec<Recipe> = Vec::new();
    let mut inside = false;
    for (line, content) in (1..).zip(text.lines()) {
        if !inside && let Some(heading) = content.strip_prefix("## ") {
            recipes.push(Recipe {
                heading: heading.to_owned(),
                large: false,
                steps: Vec::new(),
            });
        }
        if content.starts_with("```") {
            inside = !inside && content == "```console";
            continue;
        }
        let Some(recipe) = recipes.last_mut() else {
            ensure!(!inside, "line {line}: a command above the first section");
            continue;
        };
        if content == LARGE {
            recipe.large = true;
        }
        if !inside {
            continue;
        }
        let [begins, goes_on] = PROMPTS.map(|prompt| content.strip_prefix(prompt));
        match (begins, goes_on, recipe.steps.last_mut()) {
            (Some(command), ..) => recipe.steps.push(Step {
                line,
                command: command.to_owned(),
                writes: Vec::new(),
            }),
            (None, Some(more), Some(step)) if step.writes.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            (None, _, Some(step)) => step.writes.push(content.trim_end().to_owned()),
            (None, _, None) => ensure!(false, "line {line}: output without a command"),
        }
    }
    recipes.retain(|recipe| !recipe.steps.is_empty());
    ensure!(!recipes.is_empty(), "it has no recipes");
    Ok(recipes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Recipes\n## One\nText.\n```console\n$ cat <<END\n> a\n> END\na\n$ serve &\n```\n\
                        ## Two\n<!-- test: --full -->\n```toml\n$ no command\n```\n```console\n$ false\n$ echo $?\n1\n```\n## Three\n";

    #[test]
    fn sections_with_commands_are_recipes() {
        let recipes = read(TEXT).unwrap();
        let headings: Vec<&str> = recipes.iter().map(|r| r.heading.as_str()).collect();
        assert_eq!(headings, ["One", "Two"]);
        assert_eq!(recipes[0].steps[0].command, "cat <<END\na\nEND");
        assert_eq!(recipes[0].steps[0].writes, ["a"]);
        assert!(recipes[0].steps[1].serves() && !recipes[0].large);
        assert!(recipes[1].large && recipes[1].steps[1].judges());
        assert_eq!(recipes[1].steps.len(), 2);
        assert!(read("## One\n```console\noutput\n```\n").is_err());
    }

    #[test]
    fn output_fits_line_by_line() {
        let step = |writes: &[&str]| Step {
            line: 1,
            command: String::new(),
            writes: writes.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert!(step(&["a", "b"]).fits("a\nb\n"));
        assert!(!step(&["a"]).fits("a\nb\n"));
        assert!(!step(&[]).fits("a\n"));
        assert!(step(&["a", ANYTHING, "z"]).fits("a\nb\nc\nz\n"));
        assert!(step(&[ANYTHING]).fits(""));
        assert!(!step(&[ANYTHING, "z"]).fits("a\n"));
    }
}
