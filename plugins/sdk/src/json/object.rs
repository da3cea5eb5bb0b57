//! The fields of a JSON object.

use std::fmt;

use super::text::Text;
use super::value::Json;

/// An object: its fields in order, each name once.
///
/// Fields are searched one by one, which is the fastest for the few that most objects have.
#[derive(Clone, Default)]
pub struct Object<'a> {
    fields: Vec<(Text<'a>, Json<'a>)>,
}

/// Up to so many fields, names that come twice are searched for by comparing each with each.
const FEW: usize = 16;

impl<'a> Object<'a> {
    /// An object without fields.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// An object of these fields. Of a name that comes twice the last value stays, at the first one's place.
    pub(super) fn parsed(mut fields: Vec<(Text<'a>, Json<'a>)>) -> Self {
        merge(&mut fields);
        Self { fields }
    }

    /// A field, whatever it is.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A field, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json<'a>> {
        self.fields.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether it has such a field.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a field: where it stands, else as the last one.
    pub fn insert(&mut self, key: impl Into<Text<'a>>, value: impl Into<Json<'a>>) {
        let (key, value) = (key.into(), value.into());
        match self.get_mut(&key) {
            Some(place) => *place = value,
            None => self.fields.push((key, value)),
        }
    }

    /// Sets a field that isn't there yet, as the first one; one that is there stays as it is.
    pub fn insert_first(&mut self, key: impl Into<Text<'a>>, value: impl Into<Json<'a>>) {
        let key = key.into();
        if !self.contains_key(&key) {
            self.fields.insert(0, (key, value.into()));
        }
    }

    /// Sets a field that isn't there yet, as the last one; one that is there stays as it is.
    pub fn insert_default(&mut self, key: impl Into<Text<'a>>, value: impl Into<Json<'a>>) {
        let key = key.into();
        if !self.contains_key(&key) {
            self.fields.push((key, value.into()));
        }
    }

    /// Takes a field out; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Json<'a>> {
        let place = self.fields.iter().position(|(name, _)| name == key)?;
        Some(self.fields.remove(place).1)
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text<'a>, &Json<'a>)> {
        self.fields.iter().map(|(key, value)| (key, value))
    }

    /// The values in order.
    pub fn values(&self) -> impl Iterator<Item = &Json<'a>> {
        self.fields.iter().map(|(_, value)| value)
    }

    /// The values in order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Json<'a>> {
        self.fields.iter_mut().map(|(_, value)| value)
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Json<'a>) -> bool) {
        self.fields.retain(|(key, value)| keep(key, value));
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The object without anything borrowed, to be kept beyond the document.
    pub fn into_owned(self) -> Object<'static> {
        let fields = self.fields.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned()));
        Object { fields: fields.collect() }
    }
}

fn merge(fields: &mut Vec<(Text<'_>, Json<'_>)>) {
    if fields.len() <= FEW { merge_few(fields) } else { merge_many(fields) }
}

/// Each name is compared with those before it, if a name before it could be the same.
fn merge_few(fields: &mut Vec<(Text<'_>, Json<'_>)>) {
    let mut seen = 0_u64;
    let mut index = 0;
    while let Some((key, _)) = fields.get(index) {
        let mark = mark_of(key);
        let before = fields.iter().take(index);
        let place = if seen & mark == 0 { None } else { before.clone().position(|(other, _)| other == key) };
        seen |= mark;
        match place {
            None => index += 1,
            Some(place) => {
                let (_, value) = fields.remove(index);
                if let Some((_, first)) = fields.get_mut(place) {
                    *first = value;
                }
            }
        }
    }
}

/// One bit of 64: the same for the same name, mostly another one for another.
fn mark_of(key: &str) -> u64 {
    let end = key.as_bytes().last().copied().unwrap_or(0);
    1 << ((key.len() as u64 * 7 + u64::from(end)) % 64)
}

/// A client may send thousands of names: they are sorted, so that equal ones are neighbours.
fn merge_many(fields: &mut Vec<(Text<'_>, Json<'_>)>) {
    let mut order: Vec<usize> = (0..fields.len()).collect();
    let name = |index: usize| fields.get(index).map_or("", |(key, _)| key.as_str());
    // Stable: of the same name, the first one stays the first.
    order.sort_by(|one, two| name(*one).cmp(name(*two)));
    let groups = order.chunk_by(|one, two| name(*one) == name(*two));
    let twice: Vec<Vec<usize>> = groups.filter(|group| group.len() > 1).map(<[usize]>::to_vec).collect();
    if twice.is_empty() {
        return;
    }
    let mut is_extra = vec![false; fields.len()];
    for group in twice {
        if let (Some(first), Some(last)) = (group.first(), group.last()) {
            let value = fields.get_mut(*last).map(|(_, value)| value.take()).unwrap_or_default();
            if let Some((_, place)) = fields.get_mut(*first) {
                *place = value;
            }
        }
        for extra in group.iter().skip(1) {
            if let Some(mark) = is_extra.get_mut(*extra) {
                *mark = true;
            }
        }
    }
    let mut extras = is_extra.into_iter();
    fields.retain(|_| !extras.next().unwrap_or(false));
}

impl<'a> IntoIterator for Object<'a> {
    type Item = (Text<'a>, Json<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

/// The names must differ.
impl<'a, K: Into<Text<'a>>, V: Into<Json<'a>>> FromIterator<(K, V)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self { fields: fields.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

/// As if they were inserted one after another, but without a search for each.
impl<'a, K: Into<Text<'a>>, V: Into<Json<'a>>> Extend<(K, V)> for Object<'a> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, fields: I) {
        let before = self.len();
        self.fields.extend(fields.into_iter().map(|(key, value)| (key.into(), value.into())));
        if self.len() > before {
            merge(&mut self.fields);
        }
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// In any order.
impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        fn sorted<'o, 'a>(object: &'o Object<'a>) -> Vec<&'o (Text<'a>, Json<'a>)> {
            let mut fields: Vec<_> = object.fields.iter().collect();
            fields.sort_by(|(one, _), (two, _)| one.cmp(two));
            fields
        }
        self.len() == other.len()
            && sorted(self).iter().zip(sorted(other)).all(|((key, value), (name, other))| key == name && value == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(names: &[String]) -> Object<'static> {
        let fields = names.iter().enumerate().map(|(index, name)| (name.clone().into(), Json::from(index as u64)));
        Object::parsed(fields.collect())
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_value_stays_at_the_first_ones_place() {
        for more in [0, 3, 100] {
            let mut names: Vec<String> = ["a", "b", "a", "c", "b", "a"].map(str::to_owned).to_vec();
            names.extend((0..more).map(|index| format!("more {index}")));
            let object = object(&names);
            let found: Vec<_> = object.iter().take(3).map(|(key, value)| (key.as_str(), value.as_u64())).collect();
            assert_eq!(found, [("a", Some(5)), ("b", Some(4)), ("c", Some(3))], "{more}");
            assert_eq!(object.len(), 3 + more);
        }
    }

    #[test]
    fn objects_are_equal_in_any_order() {
        let one: Object<'_> = [("a", Json::from(1_u64)), ("b", Json::Null)].into_iter().collect();
        let two: Object<'_> = [("b", Json::Null), ("a", Json::from(1_u64))].into_iter().collect();
        assert_eq!(one, two);
        assert_ne!(one, [("a", 1_u64)].into_iter().collect());
    }
}
