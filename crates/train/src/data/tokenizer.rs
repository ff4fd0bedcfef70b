//! The tokenizer of generated problems, as the files that Hugging Face's libraries write.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use super::lexicon::words;
use crate::error::{Error, Result};

const END: &str = "<|endoftext|>";
const UNKNOWN: &str = "<|unk|>";
/// What is no word: the marks of steps and answers, digits, and the marks of sentences and prompts.
const MARKS: [&str; 26] = [
    "\n", "###", "<<", ">>", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "-", "*", "/", "=", ".",
    ",", "?", ":", "(", ")", "'",
];
/// The tokens around thoughts, named as in the published COCONUT checkpoints: added, not special.
const LATENT: [&str; 3] = ["<|start-latent|>", "<|end-latent|>", "<|latent|>"];
/// Digits one by one, whole words, the marks of steps and answers whole, any other mark by itself.
const PIECES: &str = r"[0-9]|[A-Za-z]+|\n|#+|<<|>>|[^\sA-Za-z0-9]";

/// `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json` by name: whole words of [`words`], numbers digit
/// by digit, spaces dropped.
///
/// # Errors
/// None that these values can give.
pub fn tokenizer_files() -> Result<BTreeMap<String, Vec<u8>>> {
    let words = words();
    let vocabulary: Vec<&str> = [END, UNKNOWN].into_iter().chain(MARKS).chain(words).collect();
    let special = [END, UNKNOWN].into_iter().enumerate();
    let special: Vec<Added> = special.map(|(id, content)| Added::new(id, content, true)).collect();
    let latent = LATENT.into_iter().enumerate();
    let latent = latent.map(|(place, content)| Added::new(vocabulary.len() + place, content, false));
    let added: Vec<Added> = special.into_iter().chain(latent).collect();
    let file = File {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens: &added,
        normalizer: None,
        pre_tokenizer: json!({
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": false},
                {"type": "Split", "pattern": {"Regex": " +"}, "behavior": "Removed", "invert": false},
            ],
        }),
        post_processor: None,
        decoder: json!({"type": "Fuse"}),
        model: Model { kind: "WordLevel", vocab: Vocabulary(&vocabulary), unk_token: UNKNOWN },
    };
    let by_id: BTreeMap<String, Value> =
        added.iter().map(|token| (token.id.to_string(), token.flags(true))).collect();
    let config = json!({
        "added_tokens_decoder": by_id,
        "bos_token": END,
        "clean_up_tokenization_spaces": false,
        "eos_token": END,
        "extra_special_tokens": {},
        "pad_token": END,
        "tokenizer_class": "PreTrainedTokenizer",
        "unk_token": UNKNOWN,
    });
    let end = Added::new(0, END, true).flags(false);
    let map = json!({
        "bos_token": end, "eos_token": end, "pad_token": end, "unk_token": Added::new(1, UNKNOWN, true).flags(false),
    });
    let files = [
        ("tokenizer.json", text(&file)?),
        ("tokenizer_config.json", text(&config)?),
        ("special_tokens_map.json", text(&map)?),
    ];
    Ok(files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
}

fn text(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Option { option: "tokenizer", what: error.to_string() })?;
    Ok((text + "\n").into_bytes())
}

#[derive(Debug, Serialize)]
struct File<'a> {
    version: &'static str,
    truncation: Option<Value>,
    padding: Option<Value>,
    added_tokens: &'a [Added],
    normalizer: Option<Value>,
    pre_tokenizer: Value,
    post_processor: Option<Value>,
    decoder: Value,
    model: Model<'a>,
}

#[derive(Debug, Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    vocab: Vocabulary<'a>,
    unk_token: &'static str,
}

/// Tokens by id, as an object from token to id in the order of ids.
#[derive(Debug)]
struct Vocabulary<'a>(&'a [&'a str]);

impl Serialize for Vocabulary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, token) in self.0.iter().enumerate() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

#[derive(Debug, Serialize)]
struct Added {
    id: usize,
    content: &'static str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl Added {
    fn new(id: usize, content: &'static str, special: bool) -> Self {
        Self { id, content, single_word: false, lstrip: false, rstrip: false, normalized: !special, special }
    }

    /// As the other two files hold it.
    fn flags(&self, with_special: bool) -> Value {
        let mut value = json!({
            "content": self.content, "lstrip": self.lstrip, "normalized": self.normalized, "rstrip": self.rstrip,
            "single_word": self.single_word,
        });
        if with_special {
            value["special"] = self.special.into();
        }
        value
    }
}
