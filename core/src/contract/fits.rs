//! Compares two types: whether every value of one can be read as the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Verdict,
    schema::{Definition, Field, Record, Type},
};
use crate::wire::limits::DEPTH_MAX;

/// The maximum number of comparisons for one result: far more than types written by people need, and still fast.
const STEPS_MAX: usize = 100_000;

/// The named types of one contract.
pub(super) type Definitions = BTreeMap<String, Definition>;

/// Whether values fit, and the reason if they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
}

/// Returns whether values of type `from`, with the named types `sent`, can be read as `into`, with the named types `read`.
pub(super) fn fits(from: &Type, sent: &Definitions, into: &Type, read: &Definitions) -> Fit {
    TypeComparison { sent, read, in_progress: BTreeSet::new(), depth: 0, steps: 0 }.fit(from, into)
}

/// A comparison of the types of two contracts.
struct TypeComparison<'a> {
    sent: &'a Definitions,
    read: &'a Definitions,
    /// The pairs of names that are being compared. If a pair recurs, its first comparison decides.
    in_progress: BTreeSet<(String, String)>,
    depth: usize,
    steps: usize,
}

impl Fit {
    fn safe() -> Fit {
        Fit { verdict: Verdict::Safe, reason: String::new() }
    }

    fn unknown(reason: String) -> Fit {
        Fit { verdict: Verdict::Unknown, reason }
    }

    fn breaks(reason: String) -> Fit {
        Fit { verdict: Verdict::Breaks, reason }
    }

    /// Returns the worse of both.
    fn and(self, other: impl FnOnce() -> Fit) -> Fit {
        if self.verdict == Verdict::Breaks {
            return self;
        }
        let other = other();
        if other.verdict > self.verdict { other } else { self }
    }

    fn within(self, place: &str) -> Fit {
        let reason = if self.reason.is_empty() { self.reason } else { format!("{place}: {}", self.reason) };
        Fit { reason, ..self }
    }
}

impl TypeComparison<'_> {
    fn fit(&mut self, from: &Type, into: &Type) -> Fit {
        // Descriptions come from peers: a comparison of recursive names must end.
        if self.depth > DEPTH_MAX || self.steps > STEPS_MAX {
            return Fit::unknown("the types are nested too deeply to compare".to_owned());
        }
        self.depth += 1;
        self.steps += 1;
        let fit = self.fit_named(from, into);
        self.depth -= 1;
        fit
    }

    fn fit_named(&mut self, from: &Type, into: &Type) -> Fit {
        match (from, into) {
            (_, Type::Any) => Fit::safe(),
            (Type::Named(one), Type::Named(other)) => self.fit_names(one, other),
            (from @ Type::Named(_), Type::Optional(inner)) if self.fit(from, inner).verdict == Verdict::Safe => {
                Fit::safe()
            }
            (Type::Named(name), into) => match self.sent.get(name) {
                Some(definition) => self.fit(&definition.ty, into),
                None => Fit::unknown(format!("{name} has no description")),
            },
            (from, Type::Named(name)) => match self.read.get(name) {
                Some(definition) => self.fit(from, &definition.ty),
                None => Fit::unknown(format!("{name} has no description")),
            },
            (Type::Opaque(one), Type::Opaque(other)) if one == other => Fit::safe(),
            (Type::Any | Type::Opaque(_), _) | (_, Type::Opaque(_)) => Fit::unknown(format!("{from} becomes {into}")),
            _ => self.fit_choice(from, into),
        }
    }

    fn fit_names(&mut self, from: &str, into: &str) -> Fit {
        let pair = (from.to_owned(), into.to_owned());
        if !self.in_progress.insert(pair.clone()) {
            return Fit::safe();
        }
        let fit = match (self.sent.get(from), self.read.get(into)) {
            (Some(sent), Some(read)) => self.fit(&sent.ty, &read.ty),
            (None, _) => Fit::unknown(format!("{from} has no description")),
            (_, None) => Fit::unknown(format!("{into} has no description")),
        };
        self.in_progress.remove(&pair);
        fit
    }

    fn fit_choice(&mut self, from: &Type, into: &Type) -> Fit {
        match (from, into) {
            (Type::OneOf(all), into) => all.iter().fold(Fit::safe(), |fit, from| fit.and(|| self.fit(from, into))),
            (Type::Optional(inner), into) => self.fit(&Type::Null, into).and(|| self.fit(inner, into)),
            (from, Type::OneOf(all)) => {
                let fits = all.iter().map(|into| self.fit(from, into));
                let best = fits.min_by_key(|fit| fit.verdict);
                let fit = best.filter(|fit| fit.verdict != Verdict::Breaks);
                fit.unwrap_or_else(|| Fit::breaks(format!("{from} is not one of {into}")))
            }
            (Type::Null, Type::Optional(_)) => Fit::safe(),
            (from, Type::Optional(inner)) => self.fit(from, inner),
            _ => self.fit_form(from, into),
        }
    }

    fn fit_form(&mut self, from: &Type, into: &Type) -> Fit {
        match (from, into) {
            (Type::List(one), Type::List(other)) => self.fit(one, other).within("in the list"),
            (Type::Tuple(all), Type::List(other)) => {
                all.iter().fold(Fit::safe(), |fit, one| fit.and(|| self.fit(one, other)))
            }
            (Type::Tuple(one), Type::Tuple(other)) if one.len() == other.len() => {
                let pairs = one.iter().zip(other);
                pairs.fold(Fit::safe(), |fit, (one, other)| fit.and(|| self.fit(one, other)))
            }
            (Type::Map(one), Type::Map(other)) => {
                let keys = self.fit(&one.0, &other.0).within("keys");
                keys.and(|| self.fit(&one.1, &other.1).within("values"))
            }
            (Type::Record(one), Type::Record(other)) => self.fit_record(one, other),
            (Type::Literal(_) | Type::Char, Type::Text) => Fit::safe(),
            _ if from == into => Fit::safe(),
            _ => fit_number(from, into),
        }
    }

    fn fit_record(&mut self, from: &Record, into: &Record) -> Fit {
        let sent = |name: &str| from.fields.iter().find(|field| field.name == name);
        let fit =
            into.fields.iter().fold(Fit::safe(), |fit, field| fit.and(|| self.fit_field(sent(&field.name), field)));
        fit.and(|| {
            let known = |name: &str| into.fields.iter().any(|field| field.name == name);
            match from.fields.iter().find(|field| into.closed && !known(&field.name)) {
                Some(field) => Fit::breaks(format!("field {} is rejected", field.name)),
                None => Fit::safe(),
            }
        })
    }

    fn fit_field(&mut self, from: Option<&Field>, into: &Field) -> Fit {
        match from {
            None if into.optional => Fit::safe(),
            None => Fit::breaks(format!("field {} is missing", into.name)),
            Some(from) if from.optional && !into.optional => Fit::breaks(format!("field {} may be missing", into.name)),
            Some(from) => self.fit(&from.ty, &into.ty).within(&format!("field {}", into.name)),
        }
    }
}

/// Compares numbers: they fit if all values of `from` are in the range of `into`. An integer fits a float if no digit is lost.
fn fit_number(from: &Type, into: &Type) -> Fit {
    match (from, into, range(from), range(into)) {
        (_, _, Some(from), Some(into)) if into.0 <= from.0 && from.1 <= into.1 => Fit::safe(),
        (Type::F32, Type::F64, ..) => Fit::safe(),
        (Type::F64, Type::F32, ..) => Fit::unknown("f64 becomes f32".to_owned()),
        (_, Type::F32 | Type::F64, Some(range), _) => {
            let exact = if *into == Type::F32 { 1 << 24 } else { 1 << 53 };
            match range.0 >= -exact && range.1 <= exact as u128 {
                true => Fit::safe(),
                false => Fit::unknown(format!("{from} becomes {into}")),
            }
        }
        _ => Fit::breaks(format!("{from} is not {into}")),
    }
}

/// Returns the minimum and the maximum of an integer type.
fn range(ty: &Type) -> Option<(i128, u128)> {
    Some(match ty {
        Type::U8 => (0, u8::MAX.into()),
        Type::U16 => (0, u16::MAX.into()),
        Type::U32 => (0, u32::MAX.into()),
        Type::U64 => (0, u64::MAX.into()),
        Type::U128 => (0, u128::MAX),
        Type::I8 => (i8::MIN.into(), i8::MAX as u128),
        Type::I16 => (i16::MIN.into(), i16::MAX as u128),
        Type::I32 => (i32::MIN.into(), i32::MAX as u128),
        Type::I64 => (i64::MIN.into(), i64::MAX as u128),
        Type::I128 => (i128::MIN, i128::MAX as u128),
        _ => return None,
    })
}
