//! Links of Markdown files lead to a file, and to a heading where they name one.

use super::Finding;
use super::files::File;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(super) fn check(file: &File, root: &Path) -> Vec<Finding> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (event, range) in Parser::new(&file.text).into_offset_iter() {
        let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event else {
            continue;
        };
        if !leads_somewhere(file, &dest_url, root) {
            let line = 1 + file.text[..range.start].matches('\n').count();
            findings.push(Finding::new(
                &file.path,
                line,
                format!("{dest_url} leads nowhere"),
            ));
        }
    }
    findings
}

fn leads_somewhere(file: &File, link: &str, root: &Path) -> bool {
    if link.contains("://") || link.starts_with("mailto:") || is_rustdoc(file, link) {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = file.path.parent().unwrap_or_else(|| Path::new(""));
    let target = root.join(folder).join(path);
    if heading.is_empty() {
        return target.exists();
    }
    if path.is_empty() {
        return anchors(&file.text).iter().any(|anchor| anchor == heading);
    }
    fs::read_to_string(target)
        .is_ok_and(|text| anchors(&text).iter().any(|anchor| anchor == heading))
}

/// A crate's page links to items too; rustdoc checks those.
fn is_rustdoc(file: &File, link: &str) -> bool {
    let is_path = link
        .chars()
        .all(|c| c.is_alphanumeric() || "_:!()@".contains(c));
    is_path && file.path.starts_with("crates") && !link.is_empty()
}

/// The fragments that a forge gives to the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut heading = None::<String>;
    for event in Parser::new(text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), _) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let count = seen.entry(slug.clone()).or_default();
                anchors.push(if *count == 0 {
                    slug
                } else {
                    format!("{slug}-{count}")
                });
                *count += 1;
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(root.path().join("docs")).expect("writable");
        fs::write(
            root.path().join("docs/other.md"),
            "# One `two`, three\n# A\n# A\n",
        )
        .expect("writable");
        let findings = check(&File::new(path, text), root.path());
        findings
            .into_iter()
            .map(|finding| format!("{}: {}", finding.line, finding.message))
            .collect()
    }

    #[test]
    fn a_link_into_nothing_is_found() {
        let text =
            "# Here\n\n[a](other.md) [b](missing.md)\n[c](#there) [d](other.md#a-2) ![e](f.png)\n";
        assert_eq!(
            found("docs/a.md", text),
            [
                "3: missing.md leads nowhere",
                "4: #there leads nowhere",
                "4: other.md#a-2 leads nowhere",
                "4: f.png leads nowhere"
            ]
        );
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let text = "# Here\n[a](docs/other.md#one-two-three) [b](docs/other.md#a-1) [c](#here) \
                    [d](https://example.org/x) [e]: `f` [g](docs)\n\n[e]: docs/other.md\n";
        assert_eq!(found("README.md", text), Vec::<String>::new());
    }

    #[test]
    fn items_are_left_to_rustdoc_on_crate_pages_only() {
        assert_eq!(
            found("crates/a/README.md", "[`b`](Cache::get)"),
            Vec::<String>::new()
        );
        assert_eq!(
            found("README.md", "[`b`](Cache::get)"),
            ["1: Cache::get leads nowhere"]
        );
    }
}
