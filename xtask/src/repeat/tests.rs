//! What the command line is taken for, and what is read out of the words of the harness.

use super::{FILTER, MOST_LOAD, TIMES, Wish, passed};

#[test]
fn without_arguments_the_checklist_runs_on_the_machine_as_it_is() {
    let wish = Wish { times: TIMES, filter: FILTER.to_owned(), load: 0 };
    assert_eq!(Wish::parse(&[]), Ok(wish));
}

#[test]
fn number_name_and_load_are_taken() {
    let wish = Wish::parse(&["--load", "4", "--times", "3", "--filter", "soak"]);
    assert_eq!(wish, Ok(Wish { times: 3, filter: "soak".to_owned(), load: 4 }));
}

#[test]
fn what_is_no_number_or_too_much_is_refused() {
    let load = (MOST_LOAD + 1).to_string();
    for arguments in [&["--times", "0"][..], &["--load", &load], &["--filter"], &["--what"]] {
        Wish::parse(arguments).unwrap_err();
    }
}

#[test]
fn the_last_result_says_how_many_passed() {
    let said = "running 2 tests\n..\ntest result: ok. 25 passed; 0 failed; 0 ignored\n\n";
    assert_eq!(passed(said), Some(25));
    assert_eq!(passed("running 2 tests\n"), None);
}
