//! Text as it grows, up to a stop string.

use crate::{error::Result, tokenizer::Tokenizer};

/// What U+FFFD stands for: bytes that are no character yet.
const UNFINISHED: char = '\u{FFFD}';

/// The text of one continuation. What may still become a stop string, or a character, is held back.
#[derive(Debug)]
pub struct Text<'a> {
    tokenizer: &'a Tokenizer,
    stops: &'a [String],
    ids: Vec<u32>,
    /// Ids before this one have been turned into text, and no later id changes it.
    settled: usize,
    /// The text of `ids[settled..read]`.
    read: usize,
    held: String,
    stopped: bool,
}

impl<'a> Text<'a> {
    /// Nothing yet; it will end before the first of `stops`.
    pub fn new(tokenizer: &'a Tokenizer, stops: &'a [String]) -> Self {
        let (ids, held) = (Vec::new(), String::new());
        Self { tokenizer, stops, ids, settled: 0, read: 0, held, stopped: false }
    }

    /// What is certain of the text now that `id` follows, beyond what was certain before.
    ///
    /// # Errors
    /// A tokenizer that cannot decode.
    pub fn push(&mut self, id: u32) -> Result<String> {
        if self.stopped {
            return Ok(String::new());
        }
        self.ids.push(id);
        let before = self.tokenizer.decode(&self.ids[self.settled..self.read], true)?;
        let after = self.tokenizer.decode(&self.ids[self.settled..], true)?;
        if let Some(more) = after.strip_prefix(&before)
            && !more.ends_with(UNFINISHED)
        {
            self.held.push_str(more);
            (self.settled, self.read) = (self.read, self.ids.len());
        }
        Ok(self.release())
    }

    /// What was held back, at the end of the text.
    ///
    /// # Errors
    /// As [`Text::push`].
    pub fn finish(&mut self) -> Result<String> {
        if self.stopped {
            return Ok(String::new());
        }
        let before = self.tokenizer.decode(&self.ids[self.settled..self.read], true)?;
        let after = self.tokenizer.decode(&self.ids[self.settled..], true)?;
        self.held.push_str(after.strip_prefix(&before).unwrap_or_default());
        self.read = self.ids.len();
        let certain = self.release();
        Ok(certain + &std::mem::take(&mut self.held))
    }

    /// Whether a stop string was found.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    fn release(&mut self) -> String {
        let found = self
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| self.held.find(stop.as_str()));
        if let Some(at) = found.min() {
            self.stopped = true;
            let certain = self.held[..at].to_owned();
            self.held.clear();
            return certain;
        }
        // The longest end that begins a stop string.
        let begins = |at: usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[at..]));
        let at = self.held.char_indices().map(|(at, _)| at).find(|&at| begins(at)).unwrap_or(self.held.len());
        let rest = self.held.split_off(at);
        std::mem::replace(&mut self.held, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    fn tokenizer() -> Tokenizer {
        Tokenizer::read(&Folder::open("../../tests/fixtures/huginn-tokenizer").unwrap()).unwrap().unwrap()
    }

    /// A character of several tokens comes out whole; nothing is lost.
    #[test]
    fn characters_come_out_whole() {
        let tokenizer = tokenizer();
        let whole = "naïve 🦉 owls: 123";
        let ids = tokenizer.encode(whole, false).unwrap();
        let mut text = Text::new(&tokenizer, &[]);
        let mut pieces: Vec<String> = ids.iter().map(|&id| text.push(id).unwrap()).collect();
        pieces.push(text.finish().unwrap());
        assert!(pieces.iter().all(|piece| !piece.contains(UNFINISHED)), "{pieces:?}");
        assert_eq!(pieces.concat(), whole);
    }

    /// The text ends before the first stop string, however its letters fall into tokens, and what only looks like one comes
    /// out.
    #[test]
    fn stop_strings_end_the_text() {
        let tokenizer = tokenizer();
        let stops = ["STOP".to_owned(), "12".to_owned()];
        for (whole, expected, stopped) in [
            ("go on, ST or S; STOP here", "go on, ST or S; ", true),
            ("1 1 12", "1 1 ", true),
            ("all 1", "all 1", false),
        ] {
            let mut text = Text::new(&tokenizer, &stops);
            let ids = tokenizer.encode(whole, false).unwrap();
            let mut got: String = ids.iter().map(|&id| text.push(id).unwrap()).collect();
            got += &text.finish().unwrap();
            assert_eq!((got.as_str(), text.stopped()), (expected, stopped));
        }
    }
}
