use proptest::prelude::*;

use super::*;

const BASE: &str = "\
# main file
[DEFAULT]
debug = false
# two values
plugin = a
plugin = b
long = one,
  two

[database]
connection = mysql://x
";

fn merged(base: &str, over: &str) -> String {
    let mut ini = Ini::parse(base).unwrap();
    ini.merge(&Ini::parse_override(over, "over.conf").unwrap());
    ini.to_string()
}

#[test]
fn reads_values_as_oslo_config_does() {
    let ini = Ini::parse(BASE).unwrap();
    assert_eq!(ini.values("DEFAULT", "plugin"), ["a", "b"]);
    assert_eq!(ini.values("DEFAULT", "long"), ["one,\ntwo"]);
    assert_eq!(ini.values("Database", "connection"), ["mysql://x"]);
    let ini = Ini::parse("[a]\nb: \"c = d\"\ne = 'f\n").unwrap();
    assert_eq!(ini.values("a", "b"), ["c = d"]);
    assert_eq!(ini.values("a", "e"), ["'f"]);
}

#[test]
fn an_override_replaces_all_values_in_the_place_of_the_first() {
    assert_eq!(
        merged(BASE, "[DEFAULT]\nplugin = c\nlong = three\n"),
        BASE.replace("plugin = a\nplugin = b\nlong = one,\n  two\n", "plugin = c\nlong = three\n")
    );
}

#[test]
fn a_key_repeated_in_an_override_has_several_values() {
    let text = merged(BASE, "[DEFAULT]\nplugin = x\nplugin = y,\n   z\ndebug = true\n");
    let ini = Ini::parse(&text).unwrap();
    assert_eq!(ini.values("DEFAULT", "plugin"), ["x", "y,\nz"]);
    assert_eq!(ini.values("DEFAULT", "debug"), ["true"]);
}

#[test]
fn new_keys_stand_at_the_end_of_their_section_and_new_sections_at_the_end() {
    assert_eq!(
        merged(BASE, "[DEFAULT]\nnew = 1\n[cache]\nenabled = true\n"),
        format!("{}\n[cache]\nenabled = true\n", BASE.replace("  two\n", "  two\nnew = 1\n"))
    );
}

#[test]
fn a_section_that_stands_twice_keeps_no_old_value() {
    let text = merged("[a]\nk = 1\n[b]\nx = 1\n[A]\nk = 2\n", "[a]\nk = 3\n");
    assert_eq!(text, "[a]\nk = 3\n[b]\nx = 1\n[A]\n");
}

#[test]
fn sections_of_an_override_that_are_one_add_up() {
    let over = "[database]\na = 1\n[Database]\na = 2\n";
    assert_eq!(merged("[database]\na = 0\n", over), "[database]\na = 1\na = 2\n");
}

#[test]
fn default_is_not_folded() {
    assert_eq!(
        merged("[DEFAULT]\nk = 1\n", "[default]\nk = 2\n"),
        "[DEFAULT]\nk = 1\n\n[default]\nk = 2\n"
    );
}

#[test]
fn lines_know_where_they_came_from() {
    let mut ini = Ini::parse("[a]\nk = 1\nl = 1\n").unwrap();
    ini.merge(&Ini::parse_override("# why\n[a]\nk = 2\n", "over.conf").unwrap());
    let sources: Vec<LineSource> = ini.lines().map(|line| line.source.clone()).collect();
    let over = LineSource::Override(Arc::from("over.conf"), 3);
    assert_eq!(sources, [LineSource::Base(1), over, LineSource::Base(3)]);
}

#[test]
fn malformed_lines_are_named() {
    let reason = |text: &str| Ini::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(reason("a = 1\n").line, 1);
    assert_eq!(reason("[a]\n\n  b\n").line, 3);
    assert_eq!(reason("[a]\n# c\n  b\n").line, 3);
    assert_eq!(reason("[a]\nnothing\n").reason, "neither `[section]` nor `key = value`");
    assert_eq!(reason("[a\n").reason, "a section must end with `]`");
    assert_eq!(reason("[]\n").reason, "a section needs a name");
    assert_eq!(reason("[a]\n= 1\n").reason, "there is no key before the `=`");
}

fn some_line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-d]{1,2} ?[=:] ?[a-z ,'\"=:#]{0,8}",
        1 => "[ \t]{1,2}[a-z=]{1,4}",
        1 => "[#;][ a-z=]{0,6}",
        1 => "[ ]{0,2}",
        1 => "\\[(DEFAULT|default|[a-c])\\]",
    ]
}

fn some_file() -> impl Strategy<Value = String> {
    proptest::collection::vec(some_line(), 0..20)
        .prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        .prop_map(|text| format!("[s]\n{text}"))
        .prop_filter("oslo.config would refuse it too", |text| Ini::parse(text).is_ok())
}

proptest! {
    #[test]
    fn what_is_read_is_written(text in some_file()) {
        prop_assert_eq!(Ini::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn after_a_merge_every_key_has_the_values_of_the_override(base in some_file(), over in some_file()) {
        let text = merged(&base, &over);
        let (base, over, result) =
            (Ini::parse(&base).unwrap(), Ini::parse(&over).unwrap(), Ini::parse(&text).unwrap());
        for (section, key) in base.keys() {
            if over.values(section, key).is_empty() {
                prop_assert_eq!(result.values(section, key), base.values(section, key));
            }
        }
        for (section, key) in over.keys() {
            prop_assert_eq!(result.values(section, key), over.values(section, key));
        }
    }

    #[test]
    fn merging_twice_changes_nothing_more(base in some_file(), over in some_file()) {
        let once = merged(&base, &over);
        prop_assert_eq!(merged(&once, &over), once);
    }
}
