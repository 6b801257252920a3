//! What every tracked file must keep to: length, an opening, links that lead somewhere, and nothing of
//! the machine that it was written on.

use std::path::Path;

use crate::{TrackedFile, assert_none, rust_files, tracked_files, workspace};

const LINES_MAX: usize = 700;

/// Directories of one person's machine. In pieces, or this file would find itself.
const PRIVATE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Hosts of package registries: where packages come from is the machine's configuration.
const REGISTRY_HOSTS: [&str; 7] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("static.rust", "-lang.org"),
    concat!("py", "pi.org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

#[test]
fn no_file_is_longer_than_a_reader_bears() {
    let written_by_hand = |file: &TrackedFile| {
        ["rs", "md", "toml", "yml", "sh"].into_iter().any(|e| file.has_extension(e))
            || file.path.starts_with("scripts")
    };
    let findings: Vec<_> = tracked_files()
        .iter()
        .filter(|file| written_by_hand(file))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| file.finding(lines, format!("more than {LINES_MAX} lines")))
        .collect();
    assert_none(&findings, "a file this long holds more than one thing");
}

#[test]
fn every_rust_file_opens_by_saying_what_it_is() {
    let findings: Vec<_> = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.finding(1, "does not begin with `//!`"))
        .collect();
    assert_none(&findings, "a file says what it is, what always holds, and what it leaves out");
}

#[test]
fn no_file_names_a_private_path_or_a_registry_host() {
    let mut findings = Vec::new();
    // The lock file names the registry by which cargo knows it, on every machine alike.
    for file in tracked_files().iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (number, line) in file.text.lines().enumerate() {
            for needle in PRIVATE_PATHS.iter().chain(&REGISTRY_HOSTS) {
                if line.contains(needle) {
                    findings.push(file.finding(number + 1, format!("names {needle}")));
                }
            }
        }
    }
    assert_none(&findings, "the repository must read the same on every machine");
}

#[test]
fn links_between_documents_lead_to_a_file() {
    let mut findings = Vec::new();
    for file in tracked_files().iter().filter(|file| file.has_extension("md")) {
        let folder = workspace().join(file.path.parent().unwrap_or_else(|| Path::new("")));
        for (line, target) in links(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                findings.push(file.finding(line, format!("links to {path}, which is not there")));
            }
        }
    }
    assert_none(&findings, "a link that leads nowhere is worse than none");
}

/// The targets of the links in a document that point into the repository, with their lines. What looks
/// like a link in a block or a span of code is none.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for prose in line.split('`').step_by(2) {
            let inline =
                prose.split("](").skip(1).filter_map(|after| after.split([')', ' ']).next());
            let defined =
                prose.strip_prefix('[').and_then(|l| l.split_once("]: ")).map(|(_, to)| to.trim());
            let targets = inline.chain(defined);
            found.extend(targets.filter(|to| !is_elsewhere(to)).map(|to| (number + 1, to)));
        }
    }
    found
}

fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_are_found_in_prose_and_not_in_code() {
        let text = "See [a](a.md) and [b](b/c.md#d \"title\"), not `[x](y)`.\n```\n[no](no.md)\n```\n\
                    [out](https://example.org/x) [here](#part)\n[ref]: docs/e.md";
        assert_eq!(links(text), [(1, "a.md"), (1, "b/c.md#d"), (5, "#part"), (6, "docs/e.md")]);
    }
}
