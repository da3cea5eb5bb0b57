//! Goes over what a request gives a model to read, without building anything of it.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::canonical::RequestBody;
use crate::plugin::Operation;

/// Something that a model gets to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece<'p> {
    /// A message begins.
    Message,
    /// The message that it belongs to has a name.
    Name,
    /// Text of a message, or one of several prompts.
    Text(&'p str),
    /// Pictures; with `detail: high` they cost more.
    Picture { detailed: bool },
    /// Sound.
    Audio,
    /// A document.
    File,
    /// A prompt that comes as so many tokens.
    Ids(u64),
    /// The JSON text of `tools` or `functions`.
    Tools(&'p str),
}

/// What takes the pieces.
type Sink<'s> = dyn FnMut(Piece<'_>) + 's;

/// Goes over a request in its own order. What has another shape than the API's is passed over.
///
/// # Errors
/// A value can't be read, such as half a surrogate pair, which the check of the whole body lets pass. What came before it
/// has been handed over.
pub(super) fn walk(operation: Operation, body: &RequestBody, sink: &mut Sink<'_>) -> Result<(), serde_json::Error> {
    let (key, place) = match operation {
        Operation::ChatCompletions => ("messages", Place::Messages),
        Operation::Completions => ("prompt", Place::Inputs),
        Operation::Embeddings => ("input", Place::Inputs),
        // Its length isn't told in tokens.
        Operation::ImagesGenerations => return Ok(()),
    };
    if let Some(text) = body.raw(key) {
        At { place, sink }.deserialize(&mut serde_json::Deserializer::from_str(text))?;
    }
    if operation == Operation::ChatCompletions {
        tools(body).for_each(|text| sink(Piece::Tools(text)));
    }
    Ok(())
}

/// The JSON texts of the tools that a request offers; an empty list offers none.
pub(super) fn tools(body: &RequestBody) -> impl Iterator<Item = &str> {
    let lists = ["tools", "functions"].into_iter().filter_map(|key| body.raw(key));
    lists.filter(|text| text.strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']')))
}

/// Where in a request a value stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Messages,
    Message,
    Content,
    ToolCalls,
    ToolCall,
    Function,
    Name,
    Text,
    /// A prompt, or several.
    Inputs,
}

/// The keys that matter.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Arguments,
    Content,
    Detail,
    Function,
    FunctionCall,
    ImageUrl,
    Name,
    Refusal,
    Text,
    ToolCalls,
    Type,
    #[serde(other)]
    Other,
}

/// Reads a value by its place.
struct At<'a, 's> {
    place: Place,
    sink: &'a mut Sink<'s>,
}

/// Scalars are nothing to these.
macro_rules! no_scalars {
    ($($method:ident($type:ty)),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> { Ok(Self::Value::default()) })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
    };
}

/// So that an error says something; none is shown to anybody.
macro_rules! expects {
    ($what:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
    };
}

impl At<'_, '_> {
    fn at(&mut self, place: Place) -> At<'_, '_> {
        At { place, sink: &mut *self.sink }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = ();

    expects!("a request");
    no_scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        match self.place {
            Place::Content | Place::Text | Place::Inputs => (self.sink)(Piece::Text(text)),
            Place::Name => {
                (self.sink)(Piece::Name);
                (self.sink)(Piece::Text(text));
            }
            Place::Messages | Place::Message | Place::ToolCalls | Place::ToolCall | Place::Function => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        match self.place {
            Place::Messages => while list.next_element_seed(self.at(Place::Message))?.is_some() {},
            Place::Content => while list.next_element_seed(Part(&mut *self.sink))?.is_some() {},
            Place::ToolCalls => while list.next_element_seed(self.at(Place::ToolCall))?.is_some() {},
            Place::Inputs => {
                let mut ids = 0;
                while let Some(id) = list.next_element_seed(Input(&mut *self.sink))? {
                    ids += u64::from(id);
                }
                (self.sink)(Piece::Ids(ids));
            }
            _ => while list.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if self.place == Place::Message {
            (self.sink)(Piece::Message);
        }
        while let Some(key) = map.next_key::<Key>()? {
            let place = match (self.place, key) {
                (Place::Message, Key::Content) => Place::Content,
                (Place::Message, Key::ToolCalls) => Place::ToolCalls,
                (Place::Message, Key::FunctionCall) | (Place::ToolCall, Key::Function) => Place::Function,
                (Place::Message, Key::Name) => Place::Name,
                // Whatever else a message says in words, `reasoning_content` for one, is read too.
                (Place::Message, _) | (Place::Function, Key::Name | Key::Arguments) => Place::Text,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(self.at(place))?;
        }
        Ok(())
    }
}

/// One of several prompts, or one token of a prompt; it says whether it is a token.
struct Input<'a, 's>(&'a mut Sink<'s>);

impl<'de> DeserializeSeed<'de> for Input<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Input<'_, '_> {
    type Value = bool;

    expects!("a prompt");
    no_scalars!(visit_bool(bool), visit_i64(i64), visit_f64(f64));

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        (self.0)(Piece::Text(text));
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut ids = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            ids += 1;
        }
        (self.0)(Piece::Ids(ids));
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

/// A part of a message's content.
struct Part<'a, 's>(&'a mut Sink<'s>);

/// The types of parts that are no text. The last ones are what some clients of other APIs send.
const KINDS: &[&str] = &["image_url", "input_audio", "file", "image", "input_image", "document", "input_file"];

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = ();

    expects!("a part");
    no_scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        (self.0)(Piece::Text(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut detailed) = (None, false);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Type => kind = map.next_value_seed(OneOf(KINDS))?,
                Key::ImageUrl => detailed = map.next_value_seed(InHighDetail)?,
                Key::Text | Key::Refusal => map.next_value_seed(At { place: Place::Text, sink: &mut *self.0 })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match kind {
            Some("image_url" | "image" | "input_image") => (self.0)(Piece::Picture { detailed }),
            Some("input_audio") => (self.0)(Piece::Audio),
            Some(_) => (self.0)(Piece::File),
            None => {}
        }
        Ok(())
    }
}

/// Which of these texts a value is, if any.
struct OneOf(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneOf {
    type Value = Option<&'static str>;

    expects!("a word");
    no_scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|known| **known == text).copied())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Whether an `image_url` asks for `detail: high`. The picture itself is passed over.
struct InHighDetail;

impl<'de> DeserializeSeed<'de> for InHighDetail {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InHighDetail {
    type Value = bool;

    expects!("a picture");
    no_scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut high = false;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Detail => high = map.next_value_seed(OneOf(&["high"]))?.is_some(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(high)
    }
}
