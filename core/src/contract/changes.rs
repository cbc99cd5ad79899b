//! The changes between two contracts, and whether they break callers.

use serde::{Deserialize, Serialize};

use super::{
    ArgumentDescription, MethodDescription, ServiceDescription, Verdict,
    fits::{Fit, fits},
    schema::Type,
};
use crate::wire::envelope::Effect;

/// One difference between two contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The effect on callers of the old contract.
    pub verdict: Verdict,
    /// The place and the change, as a text for people.
    pub text: String,
}

impl ServiceDescription {
    /// Returns the changes from this contract to `new`. Empty if both are the same except for documentation.
    pub fn changes(&self, new: &ServiceDescription) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.name != new.name {
            changes.push(breaks(format!("the service {} was renamed to {}", self.name, new.name)));
        }
        for method in &self.methods {
            match new.method(&method.name) {
                Some(newer) => MethodComparison { old: self, new, method, newer }.add_to(&mut changes),
                None => changes.push(breaks(format!("{} was removed", method.name))),
            }
        }
        let added = new.methods.iter().filter(|method| self.method(&method.name).is_none());
        changes.extend(added.map(|method| safe(format!("{} was added", method.name))));
        changes
    }
}

/// One method in both contracts, for comparison.
struct MethodComparison<'a> {
    old: &'a ServiceDescription,
    new: &'a ServiceDescription,
    method: &'a MethodDescription,
    newer: &'a MethodDescription,
}

impl MethodComparison<'_> {
    fn add_to(&self, changes: &mut Vec<Change>) {
        let MethodComparison { method, newer, .. } = self;
        if method.style != newer.style {
            changes.push(breaks(format!("{}: {} becomes {}", method.name, method.style, newer.style)));
        }
        if method.effect != newer.effect {
            changes.push(safe(self.effect_change()));
        }
        self.compare_arguments(changes);
        self.compare_items(changes);
        self.compare_result(changes);
        self.compare_error(changes);
    }

    fn effect_change(&self) -> String {
        let (old, new) = (effect_name(self.method.effect), effect_name(self.newer.effect));
        let what = match self.newer.effect {
            Effect::Once => "a call is not retried if its worker is lost",
            _ => "a call is retried if its worker is lost",
        };
        let what = if self.method.effect == Effect::Once || self.newer.effect == Effect::Once { what } else { "" };
        format!("{}: {old} becomes {new}{}{what}", self.method.name, if what.is_empty() { "" } else { ": " })
    }

    fn compare_arguments(&self, changes: &mut Vec<Change>) {
        let (name, old, new) = (&self.method.name, &self.method.arguments, &self.newer.arguments);
        for (at, argument) in new.iter().enumerate() {
            match old.get(at) {
                Some(before) => self.compare_argument(before, argument, changes),
                None if is_optional(&argument.ty, self.new) => {
                    changes.push(safe(format!("{name}: argument {} was added, and is optional", argument.name)));
                }
                None => changes.push(breaks(format!("{name}: argument {} was added, and is required", argument.name))),
            }
        }
        for removed in old.iter().skip(new.len()) {
            changes.push(breaks(format!("{name}: argument {} was removed", removed.name)));
        }
    }

    fn compare_argument(&self, old: &ArgumentDescription, new: &ArgumentDescription, changes: &mut Vec<Change>) {
        let name = &self.method.name;
        if old.name != new.name {
            let text =
                format!("{name}: argument {} was renamed to {}, which callers may pass by name", old.name, new.name);
            changes.push(breaks(text));
        }
        let fit = fits(&old.ty, &self.old.types, &new.ty, &self.new.types);
        changes.extend(self.type_change(&format!("argument {}", new.name), fit, &old.ty, &new.ty));
    }

    /// Compares the items of streams: those of the caller like arguments, those of the handler like results.
    fn compare_items(&self, changes: &mut Vec<Change>) {
        if let (Some(old), Some(new)) = (&self.method.incoming, &self.newer.incoming) {
            let fit = fits(old, &self.old.types, new, &self.new.types);
            changes.extend(self.type_change("item of the caller", fit, old, new));
        }
        if let (Some(old), Some(new)) = (&self.method.outgoing, &self.newer.outgoing) {
            let fit = fits(new, &self.new.types, old, &self.old.types);
            changes.extend(self.type_change("item", fit, old, new));
        }
    }

    fn compare_result(&self, changes: &mut Vec<Change>) {
        let (old, new) = (&self.method.result, &self.newer.result);
        let fit = fits(new, &self.new.types, old, &self.old.types);
        changes.extend(self.type_change("result", fit, old, new));
    }

    fn compare_error(&self, changes: &mut Vec<Change>) {
        let name = &self.method.name;
        match (&self.method.error, &self.newer.error) {
            (None, None) => {}
            (Some(old), None) => changes.push(safe(format!("{name}: error {} was removed", old.name))),
            (None, Some(new)) => changes.push(breaks(format!("{name}: error {} was added", new.name))),
            (Some(old), Some(new)) => {
                if old.name != new.name {
                    changes.push(breaks(format!("{name}: error {} was renamed to {}", old.name, new.name)));
                }
                let fit = fits(&new.ty, &self.new.types, &old.ty, &self.old.types);
                changes.extend(self.type_change(&format!("error {}", new.name), fit, &old.ty, &new.ty));
            }
        }
    }

    /// Returns the change of a type. `None` if the types are equal and fit.
    fn type_change(&self, place: &str, fit: Fit, old: &Type, new: &Type) -> Option<Change> {
        let name = &self.method.name;
        match fit.verdict {
            Verdict::Safe if old == new => None,
            Verdict::Safe => Some(safe(format!("{name}: {place}: {old} becomes {new}"))),
            verdict => Some(Change { verdict, text: format!("{name}: {place}: {}", fit.reason) }),
        }
    }
}

/// Returns whether an argument of this type may be omitted.
fn is_optional(ty: &Type, service: &ServiceDescription) -> bool {
    match ty {
        Type::Optional(_) => true,
        Type::Named(name) => {
            service.types.get(name).is_some_and(|definition| matches!(definition.ty, Type::Optional(_)))
        }
        _ => false,
    }
}

/// Returns the name of an effect.
fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Idempotent => "idempotent",
        Effect::Once => "once",
    }
}

fn safe(text: String) -> Change {
    Change { verdict: Verdict::Safe, text }
}

fn breaks(text: String) -> Change {
    Change { verdict: Verdict::Breaks, text }
}
