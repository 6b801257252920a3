//! Rust source as a list of tokens, without comments and without the insides of literals.
//!
//! Enough of Rust's lexical grammar to find names in code and nowhere else. What it does not need to
//! tell apart, it does not: operators are single characters, apart from `::`.

/// A name, a number, `::`, one character of punctuation, or a literal as `""`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    pub text: String,
    /// Counted from one.
    pub line: usize,
}

/// The tokens of `source`.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut scanner = Scanner { rest: source, line: 1, tokens: Vec::new() };
    while scanner.step() {}
    scanner.tokens
}

/// Whether the texts of the tokens from `at` on begin with `texts`.
pub fn begins_with(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    texts.iter().enumerate().all(|(i, text)| tokens.get(at + i).is_some_and(|t| t.text == *text))
}

/// The tokens outside of `#[cfg(test)]` items, and those inside.
pub fn split_at_tests(tokens: &[Token]) -> (Vec<Token>, Vec<Token>) {
    let mut shipped = Vec::new();
    let mut tests = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if begins_with(tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = item_end(tokens, at + 7);
            tests.extend_from_slice(&tokens[at..end]);
            at = end;
        } else {
            shipped.push(tokens[at].clone());
            at += 1;
        }
    }
    (shipped, tests)
}

/// Where the item that begins at `at` ends: after its braces, or after its semicolon.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
    }
    tokens.len()
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    /// Takes one token, comment or space; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if first.is_whitespace() {
            self.take(first.len_utf8());
        } else if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest));
        } else if let Some(length) = raw_string(self.rest) {
            self.literal(length);
        } else if let Some(length) = quoted(self.rest) {
            self.literal(length);
        } else if first.is_ascii_digit() {
            self.push(number(self.rest, self.follows_a_dot()));
        } else if is_word(first) {
            // A raw name, r#type, means the same as its plain one.
            if self.rest.starts_with("r#") {
                self.take(2);
            }
            self.push(word(self.rest));
        } else if self.rest.starts_with("::") {
            self.push(2);
        } else {
            self.push(first.len_utf8());
        }
        true
    }

    fn push(&mut self, length: usize) {
        self.tokens.push(Token { text: self.rest[..length].to_owned(), line: self.line });
        self.take(length);
    }

    fn literal(&mut self, length: usize) {
        self.tokens.push(Token { text: "\"\"".to_owned(), line: self.line });
        self.take(length);
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn follows_a_dot(&self) -> bool {
        self.tokens.last().is_some_and(|token| token.text == ".")
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// Length of a number. After a dot it is the index of a tuple's field, which has no fraction.
fn number(rest: &str, is_field: bool) -> usize {
    let whole = word(rest);
    let mut after = rest[whole..].chars();
    let has_fraction =
        after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit());
    if is_field || !has_fraction { whole } else { whole + 1 + word(&rest[whole + 1..]) }
}

/// Length of a block comment. They nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of a raw string with its prefix and hashes, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..].find('"')?;
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let length = rest[open..].find(&close)? + close.len();
    Some(open + length)
}

/// Length of a string, byte string, C string or character, if one begins here. A lifetime is none.
fn quoted(rest: &str) -> Option<usize> {
    let prefix =
        usize::from(rest.starts_with("b\"") || rest.starts_with("b'") || rest.starts_with("c\""));
    let mut chars = rest[prefix..].char_indices();
    let (_, quote) = chars.next()?;
    if quote == '\'' {
        let mut ahead = rest[prefix + 1..].chars();
        let (first, second) = (ahead.next()?, ahead.next());
        if first != '\\' && second != Some('\'') {
            return None;
        }
    } else if quote != '"' {
        return None;
    }
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(prefix + at + 1);
        }
    }
    Some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::{split_at_tests, tokens};

    #[track_caller]
    fn check(source: &str, expected: &str) {
        let texts: Vec<_> = tokens(source).into_iter().map(|token| token.text).collect();
        assert_eq!(texts.join(" "), expected);
    }

    #[test]
    fn comments_are_skipped() {
        check("a // HashMap\nb /* HashMap /* nested */ still */ c", "a b c");
    }

    #[test]
    fn the_insides_of_literals_are_skipped() {
        check(
            r##"f("a \" HashMap", b"x", r#"raw " HashMap"#, 'x', '\'', b'"') + g"##,
            "f ( \"\" , \"\" , \"\" , \"\" , \"\" , \"\" ) + g",
        );
    }

    #[test]
    fn lifetimes_and_labels_are_no_characters() {
        check(
            "fn f<'a>(x: &'a str) { 'l: loop {} }",
            "fn f < ' a > ( x : & ' a str ) { ' l : loop { } }",
        );
    }

    #[test]
    fn a_fraction_is_one_token_and_a_field_of_a_field_is_two() {
        check("1.5 + x.0.1 + 0..2 + 1_000.max(2)", "1.5 + x . 0 . 1 + 0 . . 2 + 1_000 . max ( 2 )");
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let found = tokens("/* one\n */ \"a\nb\"\nlast");
        assert_eq!(found.last().map(|token| token.line), Some(4));
    }

    #[test]
    fn items_for_tests_are_told_from_those_that_ship() {
        let (shipped, tests) =
            split_at_tests(&tokens("a; #[cfg(test)] mod t { fn f() {} } b; #[cfg(test)] use c; d"));
        let join =
            |tokens: &[super::Token]| tokens.iter().map(|t| t.text.as_str()).collect::<String>();
        assert_eq!(join(&shipped), "a;b;d");
        assert_eq!(join(&tests), "#[cfg(test)]modt{fnf(){}}#[cfg(test)]usec;");
    }
}
