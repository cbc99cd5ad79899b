//! Tests of keys, their text form and their files.

use proptest::prelude::*;

use super::super::{
    KeyError, KeyFileError, PublicKey, SecretKey, public_key_from_file, secret_key_from_file, server_keys_from_file,
};

/// The key pair of RFC 26's example.
const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

#[test]
fn the_secret_key_of_libzmq_s_manual_has_its_public_key() {
    let secret: SecretKey = SECRET.parse().unwrap();
    assert_eq!(secret.public_key().to_string(), PUBLIC);
    assert_eq!(*secret.to_z85(), SECRET);
}

#[test]
fn debug_output_never_shows_a_secret() {
    let secret: SecretKey = SECRET.parse().unwrap();
    let shown = format!("{secret:?}");
    assert!(shown.contains(PUBLIC) && !shown.contains(SECRET), "{shown}");
}

#[test]
fn a_wrong_key_has_an_error_that_says_what_is_wrong() {
    let error = |text: &str| text.parse::<PublicKey>().unwrap_err();
    assert_eq!(error("short"), KeyError::Length { characters: 5 });
    assert_eq!(
        error("short").to_string(),
        "a CURVE key has 40 characters, and this one has 5: create a pair with `callboard keygen`"
    );
    assert_eq!(error(&PUBLIC.replace('w', "~")), KeyError::Character { position: 6 });
    assert_eq!(error(&PUBLIC.replace('w', "\u{e9}")), KeyError::Character { position: 6 });
    assert_eq!(error(&format!("{}#####", &PUBLIC[..35])), KeyError::Range { first: 36, last: 40 });
}

#[test]
fn a_file_has_a_key_alone_or_named_keys() {
    let secret: SecretKey = SECRET.parse().unwrap();
    let both = secret.to_file();
    for text in [&format!("# mine\n\n{SECRET}\n"), &*both, &format!("metadata\ncurve\n    secret-key = \"{SECRET}\"\n")]
    {
        assert_eq!(secret_key_from_file(text).unwrap().public_key(), secret.public_key(), "{text}");
    }
    for text in [&format!("{PUBLIC}\n"), &secret.public_key().to_file(), &format!("public-key={PUBLIC}")] {
        assert_eq!(public_key_from_file(text).unwrap(), secret.public_key(), "{text}");
    }
}

#[test]
fn each_misuse_of_a_key_file_has_an_error_of_its_own() {
    let other = SecretKey::from_bytes([1; 32]).public_key();
    let secret = |text: &str| secret_key_from_file(text).unwrap_err();
    let public = |text: &str| public_key_from_file(text).unwrap_err();
    assert_eq!(secret(""), KeyFileError::Empty);
    assert_eq!(secret("# nothing\n"), KeyFileError::Empty);
    assert_eq!(secret(&format!("public-key = \"{PUBLIC}\"")), KeyFileError::SecretMissing);
    assert_eq!(public(&format!("secret-key = \"{SECRET}\"")), KeyFileError::PublicExpected);
    assert_eq!(secret(&format!("public-key = {other}\nsecret-key = {SECRET}")), KeyFileError::Mismatch);
    assert_eq!(secret(&format!("{SECRET}\n{SECRET}")), KeyFileError::Twice);
    assert_eq!(secret("\nkey=correct horse battery staple"), KeyFileError::AuthKey { line: 2 });
    assert_eq!(secret("id=web key=0123456789abcdef"), KeyFileError::AuthKey { line: 1 });
    let short = KeyError::Length { characters: 3 };
    assert_eq!(secret("# mine\nabc"), KeyFileError::Key { line: 2, error: short });
    for error in [secret(&format!("{SECRET}\n{SECRET}")), secret(&format!("{}~", &SECRET[..39]))] {
        assert!(!error.to_string().contains(&SECRET[..8]), "an error shows no part of a secret: {error}");
    }
}

#[test]
fn a_server_has_its_key_and_below_it_the_previous_one() {
    let [new, old] = [SECRET.parse().unwrap(), SecretKey::from_bytes([1; 32])];
    let public_keys = |text: &str| {
        let (key, previous) = server_keys_from_file(text).unwrap();
        (key.public_key(), previous.map(|key| key.public_key()))
    };
    let both = [new.to_file().as_str(), &old.to_file()].concat();
    assert_eq!(public_keys(&both), (new.public_key(), Some(old.public_key())));
    assert_eq!(public_keys(&format!("{SECRET}\n{}", *old.to_file())), (new.public_key(), Some(old.public_key())));
    assert_eq!(public_keys(&old.to_file()), (old.public_key(), None));
    let error = |text: &str| server_keys_from_file(text).unwrap_err();
    assert_eq!(error(&format!("{SECRET}\n{SECRET}")), KeyFileError::Twice);
    assert_eq!(error(&format!("{both}{}", *SecretKey::from_bytes([2; 32]).to_file())), KeyFileError::TooMany);
    assert_eq!(error(&new.public_key().to_file()), KeyFileError::SecretMissing);
    assert_eq!(secret_key_from_file(&both).unwrap_err(), KeyFileError::Twice);
}

proptest! {
    #[test]
    fn every_key_has_a_text_that_reads_back(bytes in any::<[u8; 32]>()) {
        let key = PublicKey::from_bytes(bytes);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        let secret = SecretKey::from_bytes(bytes);
        prop_assert_eq!(secret_key_from_file(&secret.to_z85()).unwrap().public_key(), secret.public_key());
    }

    #[test]
    fn arbitrary_text_causes_no_panic(text in ".{0,60}") {
        text.parse::<PublicKey>().ok();
        secret_key_from_file(&text).ok();
        public_key_from_file(&text).ok();
    }
}
