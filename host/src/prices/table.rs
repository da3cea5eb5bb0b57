//! The table of prices: compressed in memory, read a part at a time.
//!
//! Half a megabyte of text in members of 64 rows: a look-up unpacks one of them, in some tens of microseconds. What a
//! deployment needs is looked up when the configuration is read, so that calls look up nothing but the models of
//! wildcards, and these once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::object::Object;
use super::price::{Fields, ModelPrice};
use super::rate::Rate;

/// Rows of one member; a model's pictures come on top.
const ROWS: usize = 64;
/// A table that unpacks to more is none.
const MOST_BYTES: u64 = 64 << 20;

/// Models and what they cost, in LiteLLM's words.
#[derive(Debug)]
pub struct PriceTable {
    members: Vec<Member>,
    rows: usize,
}

/// A part of a table.
#[derive(Debug)]
struct Member {
    /// Its first key.
    first: Box<str>,
    /// Lines, compressed.
    packed: Cow<'static, [u8]>,
}

/// Why a file is no table of prices.
#[derive(Debug, thiserror::Error)]
pub enum BadTable {
    /// No JSON, or not an object of objects.
    #[error("it is no table of models: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no price in it.
    #[error("there is no price in it")]
    Empty,
    /// A price that is none; a typo there would make calls free.
    #[error("the price '{name}' of '{model}' is no number from 0 on")]
    Price {
        /// Whose.
        model: String,
        /// Which.
        name: String,
    },
    /// It can't be packed.
    #[error("it can't be kept: {0}")]
    Pack(#[from] std::io::Error),
}

/// A model's row.
pub(super) struct Row<'a> {
    /// `hd/1024-x-1024` where it is about such pictures only.
    pub(super) image: Option<&'a str>,
    /// `litellm_provider`
    pub(super) provider: &'a str,
    pub(super) fields: Fields<'a>,
}

// === impl PriceTable ===

impl PriceTable {
    /// The table that is compiled in: `config/prices.gz`.
    pub fn embedded() -> &'static Self {
        static TABLE: OnceLock<PriceTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::open(include_bytes!("../../../config/prices.gz")))
    }

    /// Reads the first member, which tells of the others.
    fn open(packed: &'static [u8]) -> Self {
        let mut decoder = GzDecoder::new(packed);
        let mut index = String::new();
        let read = decoder.by_ref().take(MOST_BYTES).read_to_string(&mut index);
        let rest = decoder.into_inner();
        debug_assert!(read.is_ok(), "a unit test reads all of the table that is compiled in");
        let members = index.lines().filter_map(|line| {
            let mut words = line.strip_prefix("# ")?.splitn(3, ' ');
            let (at, length): (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let packed = rest.get(at..at.checked_add(length)?)?;
            Some(Member { first: words.next()?.into(), packed: Cow::Borrowed(packed) })
        });
        let members: Vec<Member> = members.collect();
        let rows = members.len() * ROWS;
        Self { members, rows }
    }

    /// Reads LiteLLM's `model_prices_and_context_window.json`.
    ///
    /// # Errors
    /// It is something else, or says of a price that it is no number.
    pub fn parse(json: &str) -> Result<Self, BadTable> {
        let entries: Object<'_> = serde_json::from_str(json)?;
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        for (key, entry) in entries.0.iter().filter(|(key, _)| key != "sample_spec") {
            let entry: Object<'_> = serde_json::from_str(entry.get())?;
            let provider = entry.0.iter().find(|(name, _)| name == "litellm_provider");
            let provider: Option<String> = provider.and_then(|(_, value)| serde_json::from_str(value.get()).ok());
            let mut fields = String::new();
            for (name, value) in &entry.0 {
                let is_null = value.get() == "null";
                if Rate::is_name(name) && !is_null && Rate::read(name, value).is_none() {
                    return Err(BadTable::Price { model: key.to_string(), name: name.to_string() });
                }
                if says_a_price(name) && !is_null {
                    fields.push(if fields.is_empty() { '{' } else { ',' });
                    // On one line; no text in JSON has a line break in it.
                    let value = value.get().replace(['\n', '\r'], " ");
                    fields.push_str(&format!("{}:{value}", serde_json::to_string(name)?));
                }
            }
            let key = with_size_last(key);
            if !fields.is_empty() && !key.contains(['\t', '\n']) {
                let provider = provider.unwrap_or_default().replace(['\t', '\n'], " ");
                lines.insert(key.clone(), format!("{key}\t{provider}\t{fields}}}\n"));
            }
        }
        Self::pack(lines)
    }

    fn pack(lines: BTreeMap<String, String>) -> Result<Self, BadTable> {
        let rows = lines.len();
        let (mut members, mut block, mut count, mut first) = (Vec::new(), String::new(), 0, None::<String>);
        for (key, line) in lines {
            // A model and its pictures stay together.
            if count >= ROWS && !key.contains('#') {
                members.extend(member(first.take(), &block)?);
                block.clear();
                count = 0;
            }
            first.get_or_insert(key);
            block.push_str(&line);
            count += 1;
        }
        members.extend(member(first, &block)?);
        if members.is_empty() {
            return Err(BadTable::Empty);
        }
        Ok(Self { members, rows })
    }

    /// About how many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Shows the rows of a key: its own, and those of its pictures.
    pub(super) fn rows(&self, key: &str, mut show: impl FnMut(Row<'_>)) {
        let after = self.members.partition_point(|member| &*member.first <= key);
        let Some(member) = after.checked_sub(1).and_then(|at| self.members.get(at)) else { return };
        let mut text = String::new();
        let mut decoder = GzDecoder::new(&*member.packed).take(MOST_BYTES);
        if decoder.read_to_string(&mut text).is_err() {
            return;
        }
        let mine = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['\t', '#']));
        for line in text.lines().skip_while(|line| !mine(line)).take_while(mine) {
            let mut columns = line.splitn(3, '\t');
            let (Some(full), Some(provider), Some(json)) = (columns.next(), columns.next(), columns.next()) else {
                continue;
            };
            let Ok(Object(fields)) = serde_json::from_str(json) else { continue };
            show(Row { image: full.get(key.len() + 1..).filter(|image| !image.is_empty()), provider, fields });
        }
    }

    /// The price under a key; `serves` says whether a row of such a provider is meant.
    pub(super) fn price(&self, key: &str, provider: &str, serves: impl Fn(&str) -> bool) -> Option<ModelPrice> {
        let mut price = ModelPrice::of_provider(provider);
        self.rows(key, |row| {
            if serves(row.provider) {
                match row.image {
                    None => price.take(&row.fields),
                    Some(spec) => price.take_image(spec, &row.fields),
                }
            }
        });
        Some(price).filter(|price| !price.is_empty())
    }
}

fn member(first: Option<String>, block: &str) -> Result<Option<Member>, std::io::Error> {
    let Some(first) = first else { return Ok(None) };
    let mut encoder = GzEncoder::new(Vec::with_capacity(block.len() / 4), Compression::fast());
    encoder.write_all(block.as_bytes())?;
    Ok(Some(Member { first: first.into(), packed: Cow::Owned(encoder.finish()?) }))
}

/// Which fields of an entry are kept: `update-tables.py` has the same list.
fn says_a_price(name: &str) -> bool {
    name.contains("cost") || matches!(name, "tiered_pricing" | "provider_specific_entry" | "web_search_billing_unit")
}

/// `hd/1024-x-1024/dall-e-3` as `dall-e-3#hd/1024-x-1024`.
fn with_size_last(key: &str) -> String {
    const QUALITIES: [&str; 7] = ["low", "medium", "high", "xhigh", "max", "standard", "hd"];
    let is_length = |text: &str| text == "max" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let is_size =
        |part: &&str| part.split_once("-x-").is_some_and(|(width, height)| is_length(width) && is_length(height));
    let parts: Vec<&str> = key.split('/').collect();
    let Some(at) = parts.iter().position(is_size) else { return key.to_owned() };
    let before = parts.get(..at).unwrap_or_default();
    let first = if before.last().is_some_and(|part| QUALITIES.contains(part)) { at - 1 } else { at };
    let is_more = |part: &&&str| part.strip_suffix("-steps").is_some_and(is_length) || QUALITIES.contains(part);
    let inner = parts.get(at + 1..parts.len() - 1).unwrap_or_default();
    let last = at + inner.iter().take_while(is_more).count();
    let (spec, model) = (
        parts.get(first..=last).unwrap_or_default(),
        [parts.get(..first).unwrap_or_default(), parts.get(last + 1..).unwrap_or_default()].concat(),
    );
    format!("{}#{}", model.join("/"), spec.join("/"))
}

/// Whether a row of `row` is one of `provider`'s: tables call some providers by the kind of model too.
pub(super) fn serves(row: &str, provider: &str) -> bool {
    row == provider
        || row
            .strip_prefix(provider)
            .is_some_and(|rest| rest.starts_with('-') || rest == "_converse" || rest == "_chat")
        || row.strip_prefix("text-completion-") == Some(provider)
}
