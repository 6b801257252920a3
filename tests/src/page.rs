//! Pages of the manual whose commands are run.

/// The blocks of a page that are run, each with the exit code that it ends with: fenced as `sh`, or as
/// `sh exit=N`.
///
/// # Panics
/// When a fence is none.
pub fn blocks(page: &str) -> Vec<(String, i32)> {
    let mut blocks = Vec::new();
    for part in page.split("\n```sh").skip(1) {
        let (info, rest) = part.split_once('\n').expect("a fence has a line");
        let (script, _) = rest.split_once("\n```").expect("a block ends");
        let exit =
            info.trim().strip_prefix("exit=").map_or(0, |exit| exit.parse().expect("a code"));
        blocks.push((script.to_owned(), exit));
    }
    blocks
}
