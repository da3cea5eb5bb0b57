//! An object that a client wrote: taken apart field by field, so that what nobody took is known at the end.

use super::number::Number;
use super::object::Object;
use super::path::{Path, missing, wrong_type};
use super::text::Text;
use super::value::Json;
use crate::{Failure, Loss, Warning};

/// An object whose fields are taken one by one. A field that is `null` counts as absent, as in the OpenAI API.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a> {
    object: Object<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`.
    ///
    /// # Errors
    /// `value` is not an object.
    pub fn of(value: Json<'a>, at: &Path<'_>) -> Result<Self, Failure> {
        match value {
            Json::Object(object) => Ok(Self { object }),
            other => Err(wrong_type(at, "an object", &other)),
        }
    }

    /// Takes a field, whatever it is.
    pub fn take(&mut self, key: &str) -> Option<Json<'a>> {
        self.object.remove(key).filter(|value| !value.is_null())
    }

    /// Looks at a field and leaves it.
    pub fn peek(&self, key: &str) -> Option<&Json<'a>> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// Takes a string.
    ///
    /// # Errors
    /// The field is something else.
    pub fn string(&mut self, key: &str, at: &Path<'_>) -> Result<Option<Text<'a>>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&at.key(key), "a string", &other)),
        }
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// The field is absent or something else.
    pub fn required_string(&mut self, key: &str, at: &Path<'_>) -> Result<Text<'a>, Failure> {
        self.string(key, at)?.ok_or_else(|| missing(&at.key(key)))
    }

    /// Takes a number, digits as the client wrote them.
    ///
    /// # Errors
    /// The field is something else.
    pub fn number(&mut self, key: &str, at: &Path<'_>) -> Result<Option<Number<'a>>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(number)),
            Some(other) => Err(wrong_type(&at.key(key), "a number", &other)),
        }
    }

    /// Takes a whole number that is not negative.
    ///
    /// # Errors
    /// The field is something else.
    pub fn unsigned(&mut self, key: &str, at: &Path<'_>) -> Result<Option<u64>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong_type(&at.key(key), "a whole number that is not negative", &value)),
            },
        }
    }

    /// Takes `true` or `false`.
    ///
    /// # Errors
    /// The field is something else.
    pub fn boolean(&mut self, key: &str, at: &Path<'_>) -> Result<Option<bool>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&at.key(key), "true or false", &other)),
        }
    }

    /// Takes an array; an absent one is empty.
    ///
    /// # Errors
    /// The field is something else.
    pub fn array(&mut self, key: &str, at: &Path<'_>) -> Result<Vec<Json<'a>>, Failure> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Json::Array(values)) => Ok(values),
            Some(other) => Err(wrong_type(&at.key(key), "an array", &other)),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// The field is something else.
    pub fn object(&mut self, key: &str, at: &Path<'_>) -> Result<Option<Fields<'a>>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => Fields::of(value, &at.key(key)).map(Some),
        }
    }

    /// The names of the fields that nobody took, in the client's order; those that are `null` don't count.
    pub fn left(&self) -> impl Iterator<Item = &str> + use<'_, 'a> {
        self.object.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// What nobody took.
    pub fn into_object(self) -> Object<'a> {
        self.object
    }
}

impl<'a> From<Object<'a>> for Fields<'a> {
    fn from(object: Object<'a>) -> Self {
        Self { object }
    }
}

/// What a translation lost, gathered while it runs.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Vec<Warning>);

impl Warnings {
    /// The provider has no such parameter: a 400 unless the operator said `drop_params`.
    pub fn unsupported(&mut self, path: impl ToString) {
        self.push(path, Loss::Unsupported);
    }

    /// Left out; the request means almost the same.
    pub fn dropped(&mut self, path: impl ToString) {
        self.push(path, Loss::Dropped);
    }

    /// Carried over as the nearest thing.
    pub fn approximated(&mut self, path: impl ToString) {
        self.push(path, Loss::Approximated);
    }

    /// All that is left in `fields` is dropped.
    pub fn dropped_fields(&mut self, fields: &Fields<'_>, at: &Path<'_>) {
        for key in fields.left() {
            self.dropped(at.key(key));
        }
    }

    /// What was gathered.
    pub fn into_vec(self) -> Vec<Warning> {
        self.0
    }

    fn push(&mut self, path: impl ToString, loss: Loss) {
        self.0.push(Warning { path: path.to_string(), loss });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_took_is_told_in_order_and_null_counts_as_absent() {
        let mut fields =
            Fields::of(Json::parse(br#"{"a": 1, "z": null, "c": "x", "b": true}"#).unwrap(), &Path::Root).unwrap();
        assert_eq!(fields.string("c", &Path::Root).unwrap().as_deref(), Some("x"));
        assert_eq!(fields.string("z", &Path::Root).unwrap(), None);
        let mut warnings = Warnings::default();
        warnings.dropped_fields(&fields, &Path::Root);
        assert_eq!(warnings.into_vec().iter().map(|w| w.path.clone()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_was_taken_is_gone_and_what_was_null_stays() {
        let mut fields =
            Fields::of(Json::parse(br#"{"a": 1, "b": null, "c": "", "d": 2}"#).unwrap(), &Path::Root).unwrap();
        assert!(fields.take("a").is_some() && fields.take("a").is_none() && fields.peek("a").is_none());
        assert_eq!(fields.left().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(Json::from(fields.into_object()).to_string(), r#"{"b":null,"c":"","d":2}"#);
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let mut fields = Fields::of(Json::parse(br#"{"max_tokens": -1}"#).unwrap(), &Path::Root).unwrap();
        let failure = fields.unsigned("max_tokens", &Path::Root).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("max_tokens"));
        assert!(failure.message.contains("whole number"), "{}", failure.message);
    }
}
