//! Rust read as tokens, which is all that the rules need: comments and strings cannot mislead them, and
//! the bodies of macros such as `proptest!` are seen as well as plain items.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Lexes a file; the error says where it is not Rust.
pub(super) fn lex(text: &str) -> Result<Vec<TokenTree>, String> {
    match text.parse::<TokenStream>() {
        Ok(stream) => Ok(stream.into_iter().collect()),
        Err(error) => Err(format!("not Rust at line {}: {error}", error.span().start().line)),
    }
}

/// Calls `visit` with the tokens of every nesting level, outermost first.
pub(super) fn each_level(tokens: &[TokenTree], visit: &mut impl FnMut(&[TokenTree])) {
    visit(tokens);
    for token in tokens {
        if let TokenTree::Group(group) = token {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            each_level(&inner, visit);
        }
    }
}

/// The line that `token` starts on, counted from 1.
pub(super) fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Whether `token` is the word `word`.
pub(super) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// The group, if `token` is one between `delimiter`.
pub(super) fn group(token: &TokenTree, delimiter: Delimiter) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// The last line of the item that begins with `rest`: that of its brace group, or of its semicolon.
pub(super) fn item_end(rest: &[TokenTree]) -> Option<(usize, bool)> {
    for token in rest {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                return Some((group.span_close().end().line, true));
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return Some((line(token), false)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_visited_with_lines() {
        let tokens = lex("fn a() {\n    b(\n        c\n    );\n}\n").expect("it is Rust");
        let mut seen = Vec::new();
        each_level(&tokens, &mut |level| seen.extend(level.first().map(line)));
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(item_end(&tokens), Some((5, true)));
    }

    #[test]
    fn an_item_without_a_body_ends_at_its_semicolon() {
        let tokens = lex("fn a(x: [u8; 3])\n    -> u8;\nfn b() {}").expect("it is Rust");
        assert_eq!(item_end(&tokens), Some((2, false)));
    }

    #[test]
    fn what_is_not_rust_is_refused() {
        assert!(lex("fn a() {").expect_err("the brace is open").contains("not Rust"));
    }
}
