//! What the fuzz targets of `dev/fuzz` check, for the inputs that they have found.

use std::fs;
use std::path::Path;

#[path = "../../dev/fuzz/properties/mod.rs"]
mod properties;

fn replay(target: &str, hold: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("dev/fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        hold(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "{inputs} inputs of {target}");
}

#[test]
fn answers_of_the_corpus_are_read_as_what_they_are() {
    replay("answers", properties::answers::hold);
}

#[test]
fn sources_of_the_corpus_become_a_credential_or_an_error_without_it() {
    replay("sources", properties::sources::hold);
}

#[test]
fn templates_of_the_corpus_are_rendered_within_bounds_or_refused() {
    replay("templates", properties::templates::hold);
}
