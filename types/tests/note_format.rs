//! Signed notes: C2SP's own examples, the one text form, and what is refused.

use consign_types::checkpoint::{Checkpoint, Cosignature, signed_by_log};
use consign_types::key::{BadSignature, PublicKey, SecretKey};
use consign_types::note::{
    KeyType, NOTE_BYTES_MAX, Note, NoteSignature, SIGNATURES_MAX, VerifierKey,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// signed-note v1.0.0, "Format".
const QUASIMODO: &str = "\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
";

/// signed-note v1.0.0, "Example": a verifier key, and a note that it verifies.
const FOO_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const FOO_NOTE: &str = "\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
";

/// tlog-cosignature v1.0.1: a checkpoint with the log's signature and a witness's.
const SOFA: &str = "\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
";

fn note(text: &str) -> Note {
    text.parse().unwrap()
}

fn refused(text: &str) {
    assert!(text.parse::<Note>().is_err(), "{text:?}");
}

#[test]
fn published_notes_print_as_they_were_read() {
    for published in [QUASIMODO, FOO_NOTE, SOFA] {
        assert_eq!(note(published).to_string(), published);
    }
    assert!(note(QUASIMODO).text().ends_with("sole:\n\ned è subito sera.\n"));
}

#[test]
fn the_published_verifier_key_verifies_the_published_note() {
    let key: VerifierKey = FOO_KEY.parse().unwrap();
    assert_eq!(key.to_string(), FOO_KEY);
    assert_eq!((key.name(), key.kind()), ("example.com/foo", KeyType::Ed25519));
    assert_eq!(signed_by_log(&note(FOO_NOTE), key.name(), *key.key()), Ok(true));

    let other_text = FOO_NOTE.replacen("example message", "exemplary message", 1);
    assert_eq!(signed_by_log(&note(&other_text), key.name(), *key.key()), Err(BadSignature));
    // Under another name or by another key, nobody we know signed it.
    assert_eq!(signed_by_log(&note(FOO_NOTE), "example.com/bar", *key.key()), Ok(false));
    assert_eq!(signed_by_log(&note(SOFA), key.name(), *key.key()), Ok(false));
}

#[test]
fn the_published_checkpoint_and_cosignature_have_their_published_fields() {
    let note = note(SOFA);
    let checkpoint = Checkpoint::from_text(note.text()).unwrap();
    assert_eq!(checkpoint.text(), note.text());
    assert_eq!(
        (checkpoint.origin.as_str(), checkpoint.size.0),
        ("example.com/behind-the-sofa", 20_852_163)
    );
    let [log, witness] = note.signatures() else { panic!("two signatures") };
    assert_eq!(log.signature.len(), 64);
    assert_eq!(witness.key_id, [0x8d, 0x66, 0xcf, 0x3f]);
    assert_eq!(Cosignature::from_line(witness).map(|c| c.time_s), Some(1_679_315_147));
    assert_eq!(Cosignature::from_line(log), None);
}

#[test]
fn a_verifier_key_is_refused_unless_all_three_parts_agree() {
    for (what, text) in [
        ("another name", FOO_KEY.replacen("foo", "bar", 1)),
        ("another id", FOO_KEY.replacen("530d903a", "530d903b", 1)),
        ("upper-case id", FOO_KEY.replacen("530d903a", "530D903A", 1)),
        ("short id", FOO_KEY.replacen("530d903a", "530d90", 1)),
        ("unknown type", FOO_KEY.replacen("+Aeky", "+Auky", 1)),
        ("another type", FOO_KEY.replacen("+Aeky", "+BOky", 1)),
        ("padding where none is needed", format!("{FOO_KEY}=")),
        ("white space", FOO_KEY.replacen("/foo", " foo", 1)),
        ("no name", FOO_KEY.replacen("example.com/foo", "", 1)),
        ("two parts", FOO_KEY.rsplit_once('+').unwrap().0.to_owned()),
        ("nothing", String::new()),
    ] {
        assert!(text.parse::<VerifierKey>().is_err(), "{what}: {text}");
    }
}

#[test]
fn one_key_has_different_ids_under_other_types_and_names() {
    let key = SecretKey::from_seed([7; 32]).public();
    let id = |name: &str, kind| VerifierKey::new(name, kind, key).unwrap().key_id();
    let log = id("a.example/log", KeyType::Ed25519);
    assert_ne!(log, id("a.example/log", KeyType::Cosignature));
    assert_ne!(log, id("b.example/log", KeyType::Ed25519));
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{1}b"] {
        assert!(VerifierKey::new(name, KeyType::Ed25519, key).is_err(), "{name:?}");
    }
}

#[test]
fn whatever_is_not_the_one_form_of_a_note_is_refused() {
    let line = FOO_NOTE.lines().last().unwrap();
    for text in [
        String::new(),
        "\n".to_owned(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        "text\n\n\n".to_owned(),
        format!("text\n{line}\n"),
        format!("text\n\n{line}"),
        format!("text\n\n{line}\nmore\n"),
        format!("text\n\n{line}\n\n"),
        format!("text\r\n\n{line}\n"),
        format!("te\u{0}xt\n\n{line}\n"),
        format!("te\txt\n\n{line}\n"),
        format!("text\n\n{}\n", line.replacen('—', "-", 1)),
        format!("text\n\n{}\n", line.replacen("— ", "—", 1)),
        format!("text\n\n{}\n", line.replacen("example.com", "exam+ple.com", 1)),
        format!("text\n\n{}\n", line.replacen("example.com", "exam\u{2}ple.com", 1)),
        format!("text\n\n{}\n", line.replacen("foo ", "foo  ", 1)),
        format!("text\n\n{line} \n"),
        format!("text\n\n{}\n", line.trim_end_matches('=')),
        // Bits after the last byte: another text for the same signature.
        format!("text\n\n{}\n", line.replacen("QM=", "QN=", 1)),
        "text\n\n— name AAAA\n".to_owned(),
        "text\n\n— name AAAAAA==\n".to_owned(),
        "text\n\n— name \n".to_owned(),
        "text\n\n— name\n".to_owned(),
    ] {
        refused(&text);
    }
    // Only characters below U+0020 are forbidden; DEL and what lies above are text.
    assert!(format!("te\u{7f}\u{85}xt\n\n{line}\n").parse::<Note>().is_ok());
}

#[test]
fn a_note_is_bounded_in_signatures_and_bytes() {
    let line = FOO_NOTE.lines().last().unwrap();
    let with = |count: usize| format!("text\n\n{}", format!("{line}\n").repeat(count));
    assert_eq!(note(&with(SIGNATURES_MAX)).signatures().len(), SIGNATURES_MAX);
    refused(&with(SIGNATURES_MAX + 1));

    let text = |bytes: usize| format!("{}\n\n{line}\n", "x".repeat(bytes - line.len() - 3));
    assert_eq!(text(NOTE_BYTES_MAX).len(), NOTE_BYTES_MAX);
    assert!(text(NOTE_BYTES_MAX).parse::<Note>().is_ok());
    refused(&text(NOTE_BYTES_MAX + 1));
}

/// "Verifiers MUST accept at least up to 16 signatures", also where each has nearly 5 kB.
#[test]
fn sixteen_post_quantum_signatures_are_accepted() {
    let mut many = Note::new("text\n".to_owned()).unwrap();
    for at in 0..16 {
        let (name, signature) = (format!("pq{at}.example"), vec![at; 5_000]);
        many.add(NoteSignature { name, key_id: [at; 4], signature });
    }
    assert_eq!(note(&many.to_string()), many);
}

#[test]
fn a_cosignature_beyond_the_last_second_is_none() {
    let line = |time: u64| {
        let signature = [time.to_be_bytes().as_slice(), &[0; 64]].concat();
        Cosignature::from_line(&NoteSignature { name: "w".to_owned(), key_id: [0; 4], signature })
    };
    assert_eq!(line(i64::MAX as u64).map(|c| c.time_s), Some(i64::MAX as u64));
    assert_eq!(line(i64::MAX as u64 + 1), None);
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé-ü0-9./:-]{1,40}"
}

fn signature() -> impl Strategy<Value = NoteSignature> {
    (name(), any::<[u8; 4]>(), vec(any::<u8>(), 1..100))
        .prop_map(|(name, key_id, signature)| NoteSignature { name, key_id, signature })
}

proptest! {
    #[test]
    fn any_note_survives_its_text_form(
        lines in vec("[ -~—é]{0,30}", 1..6),
        signatures in vec(signature(), 1..20),
    ) {
        let mut note = Note::new(format!("{}\n", lines.join("\n"))).unwrap();
        signatures.into_iter().for_each(|signature| note.add(signature));
        prop_assert_eq!(note.to_string().parse(), Ok(note));
    }

    #[test]
    fn any_verifier_key_survives_its_text_form(
        name in name(),
        seed: [u8; 32],
        cosigns: bool,
    ) {
        let kind = if cosigns { KeyType::Cosignature } else { KeyType::Ed25519 };
        let key = VerifierKey::new(&name, kind, SecretKey::from_seed(seed).public()).unwrap();
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }

    /// Close to a note, so that every stage of the parser is reached.
    #[test]
    fn no_text_panics_and_what_is_read_prints_the_same(
        text in "([a—+ =/A]|\n|\n\n|— |\u{1}){0,60}",
    ) {
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        let _ = text.parse::<VerifierKey>();
        let _ = Checkpoint::from_text(&text);
    }

    #[test]
    fn no_bytes_panic_a_decoder(bytes in vec(any::<u8>(), 0..300), key: [u8; 32]) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = text.parse::<Note>();
        let _ = text.parse::<VerifierKey>();
        let _ = Checkpoint::from_text(&text);
        let _ = PublicKey::from_bytes(key);
        let line = NoteSignature { name: String::new(), key_id: [0; 4], signature: bytes };
        let _ = Cosignature::from_line(&line);
    }
}
