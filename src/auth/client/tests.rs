//! The router's sign-in to servers, against packets of each plugin: what it answers, and what it never says over an unsafe
//! channel.

use super::*;
use crate::auth::scramble::{fast_stored, fast_verify, native_stored, native_verify};
use crate::auth::{RsaKey, Secret};
use crate::protocol::handshake::{put_auth_more, put_auth_switch};

const SECRET: &[u8] = b"pencil";
const NATIVE: &[u8] = b"mysql_native_password";
const SHA2: &[u8] = b"caching_sha2_password";
const CLEAR: &[u8] = b"mysql_clear_password";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const ASK: &ServerKey = &ServerKey::Ask;

fn credentials() -> Credentials {
    Credentials::new("app", SECRET)
}

fn switch(plugin: &[u8], scramble: &Scramble) -> Vec<u8> {
    let mut payload = Vec::new();
    put_auth_switch(&mut payload, plugin, scramble.bytes());
    payload
}

fn more(data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    put_auth_more(&mut payload, data);
    payload
}

#[test]
fn the_greetings_plugin_is_answered_at_once() {
    let scramble = Scramble::random();
    let credentials = credentials();
    let (mut sign_in, plugin, answer) =
        SignIn::begin(&credentials, Channel::Plain, ASK, NATIVE, scramble.bytes()).unwrap();
    assert_eq!(plugin.as_bytes(), NATIVE);
    assert!(native_verify(&scramble, &native_stored(SECRET), &answer).is_some());
    assert_eq!(sign_in.packet(OK), Ok(Reaction::Done));
    let (mut sign_in, plugin, answer) =
        SignIn::begin(&credentials, Channel::Plain, ASK, SHA2, scramble.bytes()).unwrap();
    assert_eq!(plugin.as_bytes(), SHA2);
    assert!(fast_verify(&scramble, &fast_stored(SECRET), &answer));
    assert_eq!(sign_in.packet(&more(&[3])), Ok(Reaction::Wait));
    assert_eq!(sign_in.packet(OK), Ok(Reaction::Done));
}

#[test]
fn a_greeting_without_a_usable_plugin_is_answered_with_one_of_ours() {
    let credentials = credentials();
    for (greeting, ours) in [(&b"client_ed25519"[..], SHA2), (CLEAR, SHA2), (b"", NATIVE), (b"parsec", SHA2)] {
        for channel in [Channel::Plain, Channel::Tls] {
            let (_, plugin, answer) = SignIn::begin(&credentials, channel, ASK, greeting, &[7; 20]).unwrap();
            assert_eq!(plugin.as_bytes(), ours, "{greeting:?}");
            assert!(!answer.windows(SECRET.len()).any(|w| w == SECRET));
        }
    }
    let hash = Credentials { username: "app".into(), password: Password::NativeSha1([1; 20]) };
    let (_, plugin, answer) = SignIn::begin(&hash, Channel::Plain, ASK, SHA2, &[7; 20]).unwrap();
    assert_eq!((plugin.as_bytes(), answer.len()), (NATIVE, 20));
    let short = SignIn::begin(&hash, Channel::Plain, ASK, SHA2, &[7; 8]).unwrap_err();
    assert!(matches!(short, SignInError::OutOfPlace(_)));
}

#[test]
fn a_switch_is_followed_once() {
    let credentials = credentials();
    let (first, second) = (Scramble::random(), Scramble::random());
    let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, ASK, SHA2, first.bytes()).unwrap();
    let Reaction::Send(answer) = sign_in.packet(&switch(NATIVE, &second)).unwrap() else { panic!() };
    assert!(native_verify(&second, &native_stored(SECRET), &answer).is_some());
    let again = sign_in.packet(&switch(NATIVE, &second)).unwrap_err();
    assert!(matches!(again, SignInError::OutOfPlace(_)), "{again}");
}

#[test]
fn the_password_itself_is_sent_over_safe_channels_alone() {
    let credentials = credentials();
    for (channel, key, sent) in [
        (Channel::Tls, &ServerKey::Forbidden, Ok(Reaction::Send(b"pencil\0".to_vec()))),
        (Channel::Local, &ServerKey::Forbidden, Ok(Reaction::Send(b"pencil\0".to_vec()))),
        (Channel::Plain, ASK, Ok(Reaction::Send(vec![2]))),
        (Channel::Plain, &ServerKey::Forbidden, Err(())),
    ] {
        let (mut sign_in, ..) = SignIn::begin(&credentials, channel, key, SHA2, &[7; 20]).unwrap();
        match (sign_in.packet(&more(&[4])), sent) {
            (got, Ok(want)) => assert_eq!(got, Ok(want)),
            (got, Err(())) => assert!(matches!(got, Err(SignInError::Insecure(Plugin::CachingSha2, _))), "{got:?}"),
        }
    }
    for (channel, good) in [(Channel::Tls, true), (Channel::Local, false), (Channel::Plain, false)] {
        let (mut sign_in, ..) = SignIn::begin(&credentials, channel, ASK, SHA2, &[7; 20]).unwrap();
        match sign_in.packet(b"\xfemysql_clear_password\0") {
            Ok(Reaction::Send(answer)) => assert!(good && answer == b"pencil\0"),
            Err(SignInError::Insecure(Plugin::Clear, _)) => assert!(!good),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_key_is_asked_for_or_known() {
    let credentials = credentials();
    let rsa = RsaKey::generated();
    let pem = rsa.make().unwrap();
    let scramble = Scramble::random();
    let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, ASK, SHA2, scramble.bytes()).unwrap();
    assert_eq!(sign_in.packet(&more(&[4])), Ok(Reaction::Send(vec![2])));
    let Reaction::Send(answer) = sign_in.packet(&more(pem.as_bytes())).unwrap() else { panic!() };
    assert_eq!(rsa.decrypt(&scramble, &answer), Ok(Secret::from(SECRET)));
    // A key again is out of place.
    assert!(sign_in.packet(&more(pem.as_bytes())).is_err());
    let known = ServerKey::Known(Arc::new(RsaPublicKey::from_pem(pem.as_bytes()).unwrap()));
    let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, &known, SHA2, scramble.bytes()).unwrap();
    let Reaction::Send(answer) = sign_in.packet(&more(&[4])).unwrap() else { panic!() };
    assert_eq!(rsa.decrypt(&scramble, &answer), Ok(Secret::from(SECRET)));
    let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, ASK, SHA2, scramble.bytes()).unwrap();
    sign_in.packet(&more(&[4])).unwrap();
    assert!(matches!(sign_in.packet(&more(b"no key at all")), Err(SignInError::Key(_))));
}

#[test]
fn sha256_password_takes_the_password_over_tls_or_encrypted() {
    let credentials = credentials();
    let rsa = RsaKey::generated();
    let pem = rsa.make().unwrap();
    let scramble = Scramble::random();
    let wanted = switch(b"sha256_password", &scramble);
    let begin = |channel, key| SignIn::begin(&credentials, channel, key, NATIVE, &[7; 20]).unwrap().0;
    assert_eq!(begin(Channel::Tls, &ServerKey::Forbidden).packet(&wanted), Ok(Reaction::Send(b"pencil\0".to_vec())));
    // Unlike caching_sha2_password it takes a unix socket for unsafe.
    for channel in [Channel::Plain, Channel::Local] {
        let forbidden = begin(channel, &ServerKey::Forbidden).packet(&wanted).unwrap_err();
        assert!(matches!(forbidden, SignInError::Insecure(Plugin::Sha256, _)));
        let mut sign_in = begin(channel, ASK);
        assert_eq!(sign_in.packet(&wanted), Ok(Reaction::Send(vec![1])));
        let Reaction::Send(answer) = sign_in.packet(&more(pem.as_bytes())).unwrap() else { panic!() };
        assert_eq!(rsa.decrypt(&scramble, &answer), Ok(Secret::from(SECRET)));
    }
    // Not before it is asked for.
    let (_, plugin, answer) =
        SignIn::begin(&credentials, Channel::Tls, ASK, b"sha256_password", scramble.bytes()).unwrap();
    assert_eq!((plugin.as_bytes(), answer.len()), (SHA2, 32));
}

#[test]
fn what_cannot_be_done_is_said() {
    let hash = Credentials { username: "app".into(), password: Password::NativeSha1([1; 20]) };
    let (mut sign_in, ..) = SignIn::begin(&hash, Channel::Tls, ASK, SHA2, &[7; 20]).unwrap();
    let error = sign_in.packet(&switch(SHA2, &Scramble::random())).unwrap_err();
    assert_eq!(error, SignInError::PasswordNotKnown(Plugin::CachingSha2));
    let credentials = credentials();
    for (packet, plugin) in [
        (&b"\xfeclient_ed25519\x000123456789012345678901234567890a\0"[..], "client_ed25519"),
        (b"\xfe", "mysql_old_password"),
        (b"\xfeparsec\0abc\0", "parsec"),
    ] {
        let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Tls, ASK, NATIVE, &[7; 20]).unwrap();
        assert_eq!(sign_in.packet(packet), Err(SignInError::UnknownPlugin(plugin.into())));
    }
}

#[test]
fn refusals_keep_the_servers_words() {
    let credentials = credentials();
    let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, ASK, NATIVE, &[7; 20]).unwrap();
    let Err(SignInError::Refused(err)) = sign_in.packet(b"\xff\x15\x04#28000Access denied") else { panic!() };
    assert_eq!((err.code, err.state, err.text().as_ref()), (1045, Some(*b"28000"), "Access denied"));
}

#[test]
fn packets_out_of_place_are_errors() {
    let credentials = credentials();
    for (plugin, packets) in [
        (NATIVE, &[&b"\x01\x04"[..]][..]),
        (SHA2, &[b"\x01\x05"]),
        (SHA2, &[b"\x01\x03", b"\x01\x04"]),
        (SHA2, &[b""]),
        (SHA2, &[b"\x02"]),
        (SHA2, &[b"\xfemysql_native_password\0short\0"]),
    ] {
        let (mut sign_in, ..) = SignIn::begin(&credentials, Channel::Plain, ASK, plugin, &[7; 20]).unwrap();
        let (last, before) = packets.split_last().unwrap();
        for packet in before {
            sign_in.packet(packet).unwrap();
        }
        assert!(sign_in.packet(last).is_err(), "{packets:?}");
    }
}
