//! The parsing algorithms of RFC 9651, section 4.2.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::http::base64;

/// A value without its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Integer(i64),
    Boolean(bool),
    Bytes(Vec<u8>),
    /// A Decimal, String, Token, Date, Display String or Inner List: no field that is read here has one.
    Other,
}

/// What is left of a field's value.
pub(super) struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    pub(super) fn new(field: &'a [u8]) -> Self {
        Self { rest: field }
    }

    /// The field as an Item: its value without the parameters.
    pub(super) fn only_item(mut self) -> Option<Bare> {
        self.skip(b" ");
        let item = self.item()?;
        self.skip(b" ");
        self.rest.is_empty().then_some(item)
    }

    /// The field as a Dictionary. Of a key that comes twice the last value counts.
    pub(super) fn only_dictionary(mut self) -> Option<Vec<(String, Bare)>> {
        let mut members: Vec<(String, Bare)> = Vec::new();
        self.skip(b" ");
        while !self.rest.is_empty() {
            let key = self.key()?;
            let value = match self.eat(b'=') {
                true if self.rest.first() == Some(&b'(') => self.inner_list()?,
                true => self.item()?,
                false => {
                    self.parameters()?;
                    Bare::Boolean(true)
                }
            };
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some(member) => member.1 = value,
                None => members.push((key, value)),
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                break;
            }
            if !self.eat(b',') {
                return None;
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                // A comma with nothing behind it.
                return None;
            }
        }
        Some(members)
    }

    fn inner_list(&mut self) -> Option<Bare> {
        self.eat(b'(').then_some(())?;
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                self.parameters()?;
                return Some(Bare::Other);
            }
            self.item()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Bare> {
        let value = self.bare()?;
        self.parameters()?;
        Some(value)
    }

    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.skip(b" ");
            self.key()?;
            if self.eat(b'=') {
                self.bare()?;
            }
        }
        Some(())
    }

    fn key(&mut self) -> Option<String> {
        let is_first = |byte: &u8| matches!(byte, b'a'..=b'z' | b'*');
        let is_next =
            |byte: &u8| is_first(byte) || matches!(byte, b'0'..=b'9' | b'_' | b'-' | b'.');
        self.rest.first().filter(|byte| is_first(byte))?;
        core::str::from_utf8(self.take_while(is_next)).ok().map(str::to_owned)
    }

    fn bare(&mut self) -> Option<Bare> {
        match *self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.take_while(is_of_token);
                Some(Bare::Other)
            }
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'@' => {
                self.eat(b'@');
                matches!(self.number()?, Bare::Integer(_)).then_some(Bare::Other)
            }
            b'%' => self.display_string(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let is_negative = self.eat(b'-');
        let digits = self.take_while(u8::is_ascii_digit);
        if self.eat(b'.') {
            let fraction = self.take_while(u8::is_ascii_digit);
            let is_decimal = (1..=12).contains(&digits.len()) && (1..=3).contains(&fraction.len());
            return is_decimal.then_some(Bare::Other);
        }
        // The bound also keeps it within 64 bits.
        (1..=15).contains(&digits.len()).then_some(())?;
        let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        Some(Bare::Integer(if is_negative { -value } else { value }))
    }

    fn string(&mut self) -> Option<Bare> {
        self.eat(b'"').then_some(())?;
        loop {
            match self.bump()? {
                b'"' => return Some(Bare::Other),
                b'\\' => {
                    matches!(self.bump()?, b'"' | b'\\').then_some(())?;
                }
                b' '..=b'~' => {}
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        self.eat(b':').then_some(())?;
        let text = self.take_while(|byte| *byte != b':');
        self.eat(b':').then_some(())?;
        let text = core::str::from_utf8(text).ok()?;
        base64::decode(text).map(Bare::Bytes)
    }

    fn boolean(&mut self) -> Option<Bare> {
        self.eat(b'?').then_some(())?;
        match self.bump()? {
            b'0' => Some(Bare::Boolean(false)),
            b'1' => Some(Bare::Boolean(true)),
            _ => None,
        }
    }

    fn display_string(&mut self) -> Option<Bare> {
        self.eat(b'%').then_some(())?;
        self.eat(b'"').then_some(())?;
        let mut text = Vec::new();
        loop {
            match self.bump()? {
                b'"' => return core::str::from_utf8(&text).is_ok().then_some(Bare::Other),
                b'%' => text.push(self.hexadecimal()? << 4 | self.hexadecimal()?),
                byte @ b' '..=b'~' => text.push(byte),
                _ => return None,
            }
        }
    }

    /// A digit, which is in lower case.
    fn hexadecimal(&mut self) -> Option<u8> {
        match self.bump()? {
            byte @ b'0'..=b'9' => Some(byte - b'0'),
            byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }

    fn bump(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = self.rest.split_at(1).1;
        }
        is_next
    }

    fn skip(&mut self, of: &[u8]) {
        self.take_while(|byte| of.contains(byte));
    }

    fn take_while(&mut self, is_of: impl Fn(&u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is_of(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// `tchar` of RFC 9110, and the colon and slash.
fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte)
}
