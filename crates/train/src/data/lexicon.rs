//! The words of generated problems: closed, so that a tokenizer of whole words needs no unknown.

use std::collections::BTreeSet;

use super::templates::{ALL, Item};

/// Persons.
pub(super) const NAMES: [&str; 16] = [
    "Ann", "Ben", "Cara", "Dan", "Eve", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kim", "Leo", "Mia", "Noah",
    "Olga", "Paul",
];

/// Things.
pub(super) const ITEMS: [Item; 12] = [
    Item { one: "apple", many: "apples" },
    Item { one: "book", many: "books" },
    Item { one: "card", many: "cards" },
    Item { one: "coin", many: "coins" },
    Item { one: "cup", many: "cups" },
    Item { one: "egg", many: "eggs" },
    Item { one: "marble", many: "marbles" },
    Item { one: "pen", many: "pens" },
    Item { one: "shell", many: "shells" },
    Item { one: "stamp", many: "stamps" },
    Item { one: "sticker", many: "stickers" },
    Item { one: "toy", many: "toys" },
];

/// What prompts and answers of latent chains hold besides a problem: CODI's answer, CoLaR's prompt and answer
/// (LatentTTS, arXiv 2510.07745).
const FORMS: [&str; 3] = ["The answer is", "Question Let's think step by step Thinking speed", "Answer"];

/// Joins persons.
pub(super) const AND: &str = "and";

/// Every word that a problem or the forms around it can hold, in the order of their letters.
pub fn words() -> Vec<&'static str> {
    let things = ITEMS.iter().flat_map(|item| [item.one, item.many]);
    let sentences = ALL.iter().copied().flatten().chain(&FORMS).flat_map(|text| words_of(text));
    let all: BTreeSet<&str> = NAMES.into_iter().chain(things).chain([AND]).chain(sentences).collect();
    all.into_iter().collect()
}

/// The runs of letters of a text outside of braces.
fn words_of(text: &'static str) -> impl Iterator<Item = &'static str> {
    let outside = text.split('{').enumerate().map(|(part, piece)| match part {
        0 => piece,
        _ => piece.split_once('}').map_or("", |(_, behind)| behind),
    });
    outside.flat_map(|piece| piece.split(|c: char| !c.is_ascii_alphabetic())).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_few_distinct_and_without_places() {
        let words = words();
        assert!(words.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(words.len() < 160, "{}", words.len());
        for word in ["Ann", "stickers", "sticker", "together", "twice", "Thinking", "s"] {
            assert!(words.contains(&word), "{word}");
        }
        assert!(!words.contains(&"items") && !words.contains(&"n"));
    }
}
