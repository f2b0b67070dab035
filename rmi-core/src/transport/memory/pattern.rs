use crate::text::Text;

/// A pattern of topic keys, taken apart once.
///
/// Words are separated by `.`; `*` stands for one word and `#` for any number of them, none included (AMQP 0-9-1, 3.1.3.3). A pattern
/// with a `/` and no exchange is an MQTT topic filter instead: words are separated by `/`, and `+` stands for one (MQTT 5, 4.7.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Text,
    separator: char,
    words: Vec<Word>,
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Exactly(Box<str>),
    One,
    Any,
}

impl Pattern {
    pub(super) fn new(exchange: &str, pattern: &Text) -> Self {
        let filter = exchange.is_empty() && pattern.contains('/');
        let separator = if filter { '/' } else { '.' };
        let mut words: Vec<Word> = Vec::new();
        // The empty key has no words, not an empty one.
        for word in pattern.split(separator).filter(|_| !pattern.is_empty()) {
            match word {
                "#" if words.last() == Some(&Word::Any) => {}
                "#" => words.push(Word::Any),
                "*" => words.push(Word::One),
                "+" if filter => words.push(Word::One),
                word => words.push(Word::Exactly(word.into())),
            }
        }
        Pattern { text: pattern.detached(), separator, words }
    }

    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    /// It matches one key only: its own text.
    pub(super) fn is_exact(&self) -> bool {
        self.words.iter().all(|word| matches!(word, Word::Exactly(_)))
    }

    /// Says whether a key matches, in at most (words of the pattern) × (words of the key) steps: only the last `#` passed has to be
    /// tried again, since whatever an earlier one could take, the later one can take as well.
    pub(super) fn matches(&self, key: &str) -> bool {
        let mut at = 0;
        let mut rest = (!key.is_empty()).then_some(key);
        let mut retry = None;
        loop {
            match self.words.get(at) {
                Some(Word::Any) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                Some(expected) => {
                    if let Some((word, tail)) = self.next(rest)
                        && expected.accepts(word)
                    {
                        at += 1;
                        rest = tail;
                        continue;
                    }
                }
                None if rest.is_none() => return true,
                None => {}
            }
            // The last `#` takes one word more.
            let Some((after, from)) = retry else { return false };
            let Some((_, tail)) = self.next(from) else { return false };
            retry = Some((after, tail));
            at = after;
            rest = tail;
        }
    }

    fn next<'k>(&self, rest: Option<&'k str>) -> Option<(&'k str, Option<&'k str>)> {
        rest.map(|rest| match rest.split_once(self.separator) {
            Some((word, tail)) => (word, Some(tail)),
            None => (rest, None),
        })
    }
}

impl Word {
    fn accepts(&self, word: &str) -> bool {
        match self {
            Word::Exactly(expected) => **expected == *word,
            Word::One | Word::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(exchange: &str, pattern: &str, key: &str) -> bool {
        Pattern::new(exchange, &Text::from(pattern)).matches(key)
    }

    #[test]
    fn patterns_of_an_exchange() {
        let table = [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b.c", "a.b", false),
            ("a.b", "a.c", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("*", "", false),
            ("a.*", "a.", true),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.c", false),
            ("*.*", "a.b", true),
            ("#", "", true),
            ("#", "a", true),
            ("#", "a.b.c", true),
            ("", "", true),
            ("", "a", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("a.#", "ab", false),
            ("#.c", "c", true),
            ("#.c", "a.b.c", true),
            ("#.c", "a.c.b", false),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b.b.c", true),
            ("a.#.c", "a.c.b.c", true),
            ("a.#.c", "a.b.c.b", false),
            ("#.#", "", true),
            ("#.*", "", false),
            ("*.#", "a", true),
            ("#.*.#", "a", true),
            ("#.a.#.b.#", "x.a.x.x.b", true),
            ("#.a.#.b.#", "x.b.x.a", false),
            ("#.a.b.#.c", "a.a.b.b.c.c", true),
            ("#.a.*.b", "a.a.x.b", true),
            ("#.a.*.b", "a.x.b.a.b", false),
            ("a#", "a#", true),
            ("a#", "ab", false),
            ("a/+", "a/b", false),
            ("dhcp.*.success.#", "dhcp.bind.success.n1.eth0", true),
        ];
        for (pattern, key, expected) in table {
            assert_eq!(matches("ex", pattern, key), expected, "{pattern} against {key}");
        }
    }

    #[test]
    fn filters_without_an_exchange() {
        let table = [
            ("a/+/c", "a/b.b/c", true),
            ("a/+/c", "a/b/b/c", false),
            ("a/*/c", "a/b/c", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a.*", "a.b", true),
        ];
        for (pattern, key, expected) in table {
            assert_eq!(matches("", pattern, key), expected, "{pattern} against {key}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_not_exponential() {
        let pattern = vec!["#.a"; 250].join(".") + ".#.b";
        let key = vec!["a"; 500].join(".");
        assert!(!matches("ex", &pattern, &key));
        assert!(matches("ex", &pattern, &(key + ".b")));
        let alternating = vec!["#.*"; 200].join(".");
        assert!(matches("ex", &alternating, &vec!["a"; 200].join(".")));
        assert!(!matches("ex", &alternating, &vec!["a"; 199].join(".")));
    }

    #[test]
    fn an_exact_pattern_is_known_as_such() {
        let exact = |pattern: &str| Pattern::new("ex", &Text::from(pattern)).is_exact();
        assert!(exact("a.b") && exact("") && exact("a#.*b"));
        assert!(!exact("a.*") && !exact("#") && !exact("a.#.b"));
    }
}
