//! From the text of a profile to what it sets. Unknown keys are mistakes: a misspelt `hide` must not become
//! nothing hidden.

use std::path::{Path, PathBuf};

use portcullis_policy::toml::document::{Literal, Section, Word, parse};
use portcullis_policy::{Asked, Mistake, Place};
use portcullis_sandbox::Limits;

use super::{POLICIES, PolicySource, Profile};
use crate::args::NetworkArg;

pub(super) const SCHEMA: &str = "portcullis.profile";
pub(super) const VERSION: u32 = 1;

const KEYS: [&str; 13] = [
    "schema",
    "version",
    "about",
    "read",
    "write",
    "hide",
    "net",
    "limit",
    "exec",
    "follow-exec",
    "plugin",
    "allow",
    "policy",
];

/// Options of `run` that a profile cannot have, each with the reason.
const NOT_HERE: [(&str, &str); 2] = [
    (
        "allow-insecure",
        "a profile never leaves a layer out: who starts the program says so, on the command line",
    ),
    (
        "observe",
        "a profile never lets calls through that are denied: that is said on the command line",
    ),
];

/// Reads a profile; `directory` is that of its file, from which a policy is named.
pub(crate) fn read(text: &str, directory: Option<&Path>) -> Result<Profile, Mistake> {
    let document = parse(text)?;
    let top = Section::top(&document, "a profile");
    schema(top)?;
    for (key, reason) in NOT_HERE {
        if top.keys().any(|known| known == key) {
            return Err(Mistake::at(top.key(key), reason));
        }
    }
    top.has_only(&KEYS)?;
    let about = top.text("about")?;
    let profile = Profile {
        about: about.map_or(String::new(), |(about, _)| about.to_owned()),
        read: paths(top, "read")?,
        write: paths(top, "write")?,
        hide: paths(top, "hide")?,
        net: net(top)?,
        limits: limits(top)?,
        exec: paths(top, "exec")?,
        follow_exec: top.flag("follow-exec")?.unwrap_or(false),
        plugins: paths(top, "plugin")?,
        allow: allow(top)?,
        policy: policy(top, directory)?,
    };
    if profile.policy.is_some() && profile.analyses() {
        let keys = ["exec", "follow-exec", "plugin"];
        let key = keys.into_iter().find(|key| top.keys().any(|k| k == *key));
        let message = "nothing is derived where `policy` says what is allowed";
        return Err(Mistake::at(top.key(key.unwrap_or("policy")), message));
    }
    Ok(profile)
}

fn schema(top: Section<'_>) -> Result<(), Mistake> {
    match top.text("schema")? {
        Some((SCHEMA, _)) => {}
        Some((other, word)) => {
            return Err(word.mistake(format!("this is a `{other}` document, not {SCHEMA}")));
        }
        None => {
            let message = format!("`schema` is missing, as schema = \"{SCHEMA}\"");
            return Err(Mistake::at(Place::default(), message));
        }
    }
    match top.number("version")? {
        Some(VERSION) => Ok(()),
        Some(other) => Err(Mistake::at(
            top.key("version"),
            format!("version {other} of {SCHEMA} is not known; {VERSION} is"),
        )),
        None => Err(Mistake::at(
            Place::default(),
            format!("`version` is missing, as version = {VERSION}"),
        )),
    }
}

/// The texts of a key.
fn texts<'a>(top: Section<'a>, key: &str) -> Result<Vec<(&'a str, Word<'a>)>, Mistake> {
    let words = top.words(key)?.unwrap_or_default();
    let texts = words.into_iter().map(|word| match word.literal {
        Literal::Text(text) => Ok((text, word)),
        Literal::Number(_) => Err(word.mistake(format!("`{key}` takes strings"))),
    });
    texts.collect()
}

/// Absolute paths, or such as begin at the home directory or, explicitly, at the working directory: a bare name
/// could be meant to begin at the profile.
fn paths(top: Section<'_>, key: &str) -> Result<Vec<PathBuf>, Mistake> {
    let read = |(text, word): (&str, Word<'_>)| {
        let begins = ["/", "./", "~/"]
            .iter()
            .any(|begin| text.starts_with(begin));
        match begins || text == "." || text == "~" {
            true if !text.contains('\0') => Ok(PathBuf::from(text)),
            _ => Err(word.mistake(format!(
                "a path begins with `/`, with `~/` (the home directory) or with `./` (the working directory of \
                 the run): `./{text}`?"
            ))),
        }
    };
    texts(top, key)?.into_iter().map(read).collect()
}

fn net(top: Section<'_>) -> Result<Option<NetworkArg>, Mistake> {
    let read = |(text, word): (&str, Word<'_>)| {
        let net: Result<NetworkArg, String> = text.parse();
        net.map_err(|why| word.mistake(why))
    };
    top.text("net")?.map(read).transpose()
}

fn limits(top: Section<'_>) -> Result<Limits, Mistake> {
    let mut limits = Limits::default();
    for (text, word) in texts(top, "limit")? {
        limits.merge(text.parse().map_err(|why: String| word.mistake(why))?);
    }
    Ok(limits)
}

fn allow(top: Section<'_>) -> Result<Vec<String>, Mistake> {
    let read = |(text, word): (&str, Word<'_>)| {
        let asked = Asked::read(text, portcullis_abi::Arch::NATIVE);
        let asked = asked.map_err(|why| word.mistake(why.to_string()));
        asked.map(|_| text.to_owned())
    };
    texts(top, "allow")?.into_iter().map(read).collect()
}

fn policy(top: Section<'_>, directory: Option<&Path>) -> Result<Option<PolicySource>, Mistake> {
    let Some((text, word)) = top.text("policy")? else {
        return Ok(None);
    };
    if text.contains('/') {
        let directory = directory.unwrap_or(Path::new("/"));
        return Ok(Some(PolicySource::File(directory.join(text))));
    }
    match POLICIES.iter().find(|(name, _)| *name == text) {
        Some((name, text)) => Ok(Some(PolicySource::Shipped { name, text })),
        None => {
            let names: Vec<&str> = POLICIES.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            Err(word.mistake(format!(
                "no policy is called `{text}`; there are {names}. A file is named by a path with a slash, which \
                 begins at this one"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policy::LineColumn;

    const HEAD: &str = "schema = \"portcullis.profile\"\nversion = 1\n";

    #[test]
    fn all_keys_are_read() {
        let text = format!(
            "{HEAD}about = \"all\"\nread = \"~/a\"\nwrite = [\".\", \"/b\"]\nhide = [\"~\"]\nnet = \"loopback\"\n\
             limit = [\"files=9\", \"wall=2s\"]\nexec = [\"/bin/sh\"]\nfollow-exec = true\nplugin = [\"./c\"]\n\
             allow = [\"getppid\"]\n"
        );
        let profile = read(&text, None).unwrap();
        assert_eq!(profile.read, [Path::new("~/a")]);
        assert_eq!(profile.write, [Path::new("."), Path::new("/b")]);
        assert_eq!(profile.net, Some(NetworkArg::Loopback));
        assert_eq!(profile.limits, "files=9,wall=2s".parse().unwrap());
        assert!(profile.follow_exec && profile.policy.is_none());
        assert_eq!(profile.allow, ["getppid"]);
    }

    #[test]
    fn a_policy_is_named_or_a_file_beside_the_profile() {
        let text = format!("{HEAD}policy = \"container-default\"\n");
        let named = read(&text, None).unwrap().policy;
        assert!(matches!(
            named,
            Some(PolicySource::Shipped {
                name: "container-default",
                ..
            })
        ));
        let text = format!("{HEAD}policy = \"./own.toml\"\n");
        let file = read(&text, Some(Path::new("/etc/x"))).unwrap().policy;
        assert_eq!(file, Some(PolicySource::File("/etc/x/./own.toml".into())));
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        for (text, place, part) in [
            ("", "1:1", "`schema` is missing"),
            (
                "schema = \"portcullis.policy\"\nversion = 1\n",
                "1:10",
                "portcullis.policy",
            ),
            (
                "schema = \"portcullis.profile\"\nversion = 2\n",
                "2:1",
                "version 2",
            ),
            (
                &format!("{HEAD}hid = [\"/a\"]\n"),
                "3:1",
                "did you mean `hide`",
            ),
            (
                &format!("{HEAD}allow-insecure = \"landlock\"\n"),
                "3:1",
                "never leaves a layer out",
            ),
            (
                &format!("{HEAD}observe = true\n"),
                "3:1",
                "never lets calls through",
            ),
            (
                &format!("{HEAD}write = [\"/a\", \"data\"]\n"),
                "3:16",
                "`./data`?",
            ),
            (&format!("{HEAD}write = 3\n"), "3:9", "strings"),
            (&format!("{HEAD}net = \"all\"\n"), "3:7", "loopback"),
            (&format!("{HEAD}limit = [\"files=0\"]\n"), "3:10", "bound"),
            (&format!("{HEAD}limit = [\"fils=1\"]\n"), "3:10", "fils"),
            (
                &format!("{HEAD}allow = [\"getpppid\"]\n"),
                "3:10",
                "no such call",
            ),
            (
                &format!("{HEAD}policy = \"own\"\n"),
                "3:10",
                "container-default",
            ),
            (
                &format!("{HEAD}policy = \"network-server\"\nexec = [\"/bin/sh\"]\n"),
                "4:1",
                "nothing is derived",
            ),
        ] {
            let mistake = read(text, None).unwrap_err();
            let at = LineColumn::of(text, mistake.place.unwrap_or_default().start);
            assert_eq!(at.to_string(), place, "{text}{mistake}");
            assert!(mistake.message.contains(part), "{text}{mistake}");
        }
    }
}
