//! Each page of the guide is a chapter of the book.
//!
//! That each chapter is a page is what the rule for links finds out.

use super::Finding;
use super::files::File;
use std::path::Path;

const SUMMARY: &str = "docs/guide/SUMMARY.md";

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let Some(summary) = files.iter().find(|file| file.path == Path::new(SUMMARY)) else {
        return vec![Finding::new(
            SUMMARY,
            0,
            "the book has no table of contents",
        )];
    };
    let folder = summary.path.parent();
    let pages = files.iter().filter(|file| {
        file.is_markdown() && file.path.parent() == folder && file.path != summary.path
    });
    pages
        .filter(|page| {
            let name = page.path.file_name().unwrap_or_default().to_string_lossy();
            !summary.text.contains(&format!("]({name})"))
        })
        .map(|page| Finding::new(&page.path, 0, format!("is missing in {SUMMARY}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_no_chapter_links_to_is_found() {
        let files = [
            File::new(SUMMARY, "- [Caching](cache.md)"),
            File::new("docs/guide/cache.md", "# Caching"),
            File::new("docs/guide/pool.md", "# Pools"),
            File::new("docs/soak.md", "# Long runs"),
        ];
        let found = check(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, Path::new("docs/guide/pool.md"));
    }

    #[test]
    fn a_book_without_a_summary_is_found() {
        assert_eq!(check(&[]).len(), 1);
    }
}
