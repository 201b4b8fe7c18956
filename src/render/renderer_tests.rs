use super::super::testing::{cloud, profiles, renderer, secrets};
use super::*;

/// What a template renders to in the heat engine's container.
fn rendered_with(templates: &[(&str, &str)], text: &str) -> Result<String> {
    let profiles = profiles(templates);
    let cloud = cloud(&profiles);
    let renderer = Renderer::new(&cloud, &secrets(), &profiles, &Overrides::default())?;
    renderer.render_text(&cloud.containers[3], text)
}

fn rendered(text: &str) -> String {
    rendered_with(&[], text).unwrap()
}

fn failure(text: &str) -> Error {
    rendered_with(&[], text).unwrap_err()
}

/// `heat.conf` of the heat engine.
fn heat_conf(template: &str, overrides: &[(&str, &str)]) -> Result<ContainerFile> {
    let profiles = profiles(&[("heat/heat.conf", template)]);
    let cloud = cloud(&profiles);
    let overrides = Overrides::from_texts(overrides.iter().copied())?;
    let renderer = Renderer::new(&cloud, &secrets(), &profiles, &overrides)?;
    let file = &cloud.services[1].containers["heat_engine"].files[0];
    renderer.render_file(&cloud.containers[3], file)
}

#[test]
fn templates_see_the_whole_cloud() {
    assert_eq!(rendered("{{ container.hostname }}"), "aio1-heat-engine-container-0000000b");
    assert_eq!(rendered("{{ container.addresses.management }}"), "172.29.236.211");
    assert_eq!(rendered("{{ networks.management.range }}"), "172.29.236.0/22");
    assert_eq!(rendered("{{ cloud.host_address }} {{ cloud.release }}"), "172.29.236.1 2025.1");
    assert_eq!(rendered("{{ sizing.rpc_workers }} {{ variables.debug }}"), "3 True");
    assert_eq!(rendered("{{ variables.heat_plugins | join(',') }}"), "a,b");
    assert_eq!(rendered("{{ secrets.heat_service_password | urlencode }}"), "hunter2%2Fx");
    assert_eq!(rendered("{{ variables | json }}"), r#"{"debug":true,"heat_plugins":["a","b"]}"#);
}

#[test]
fn functions_answer_about_what_is_deployed() {
    let addresses = "{% for member in members('galera') %}{{ member.address }} {% endfor %}";
    assert_eq!(rendered(addresses), "172.29.236.201 172.29.236.202 172.29.236.203 ");
    assert_eq!(rendered("{{ members('nova_api') | length }} {{ containers() | length }}"), "0 4");
    assert_eq!(rendered("{{ deployed('heat') }} {{ deployed('nova') }}"), "True False");
    assert_eq!(rendered("{{ frontend('galera').url }}"), "http://172.29.236.101:3306");
    assert_eq!(rendered("{{ uuid('a') }}"), rendered("{{ uuid('a') }}"));
    assert_ne!(rendered("{{ uuid('a') }}"), rendered("{{ uuid('b') }}"));
}

#[test]
fn a_text_of_a_profile_is_rendered_inside_a_template() {
    let text = "{% for s in services %}{% for f in s.frontends %}{{ f.options | render }}{% endfor %}{% endfor %}";
    assert_eq!(rendered(text), "bind 172.29.236.101");
}

#[test]
fn extra_names_are_seen() {
    let profiles = profiles(&[]);
    let cloud = cloud(&profiles);
    let renderer = renderer(&cloud, &profiles);
    let extra = serde_json::json!({"departing": {"hostname": "gone"}});
    let text = renderer.render_text_with(&cloud.containers[0], "{{ departing.hostname }}", &extra);
    assert_eq!(text.unwrap(), "gone");
}

#[test]
fn an_undefined_name_is_an_error_with_the_nearest() {
    let error = failure("a\n{{ secrets.heat_servce_password }}");
    assert_eq!(error.causes, ["`a`:2: `secrets.heat_servce_password` is not defined"]);
    assert_eq!(error.hints, ["did you mean `heat_service_password`?"]);
    assert_eq!(error.kind, ErrorKind::Config);
    assert_eq!(failure("{{ secret.x }}").hints, ["did you mean `secrets`?"]);
    assert_eq!(failure("{{ container.hostnam }}").hints, ["did you mean `hostname`?"]);
    assert_eq!(failure("{% if variables.debg %}x{% endif %}").hints, ["did you mean `debug`?"]);
    assert_eq!(failure("{{ variables.debg | json }}").hints, ["did you mean `debug`?"]);
    assert_eq!(failure("{{ frontend('galera').ulr }}").kind, ErrorKind::Config);
}

#[test]
fn no_filter_makes_something_of_an_undefined_name() {
    for filter in [
        "json",
        "tojson",
        "join(',')",
        "list",
        "sort",
        "length",
        "first",
        "unique",
        "sum",
        "upper",
        "map('upper')",
        "items",
        "string",
        "trim",
        "replace('a','b')",
        "int",
        "reverse",
        "base64",
    ] {
        let error = rendered_with(&[], &format!("{{{{ variables.debg | {filter} }}}}"));
        assert!(error.is_err(), "{filter}: {error:?}");
        assert_eq!(error.unwrap_err().kind, ErrorKind::Config, "{filter}");
    }
}

#[test]
fn unknown_arguments_name_the_nearest() {
    let cause = |text| failure(text).causes.join(" ");
    assert!(
        cause("{{ members('galara') }}")
            .contains("there is no container kind `galara`: did you mean `galera`?")
    );
    assert!(cause("{{ deployed('haet') }}").contains("did you mean `heat`?"));
    assert!(cause("{{ frontend('galra') }}").contains("did you mean `galera`?"));
    assert!(cause("{{ frontend('nova_api') }}").contains("this cloud does not have the service"));
    assert!(cause("{{ cloud.exposed_address }}").contains("the value is none"));
}

#[test]
fn an_error_in_an_included_template_names_that_template() {
    let templates = [
        ("common/db.conf", "x\n{{ secrets.nope }}\n"),
        ("heat/heat.conf", "[a]\n{% include 'common/db.conf' %}\n"),
    ];
    let profiles = profiles(&templates);
    let cloud = cloud(&profiles);
    let renderer = renderer(&cloud, &profiles);
    let file = &cloud.services[1].containers["heat_engine"].files[0];
    let error = renderer.render_file(&cloud.containers[3], file).unwrap_err();
    assert_eq!(
        error.message,
        "render `/etc/heat/heat.conf` of container `aio1_heat_engine_container-0000000b`"
    );
    assert_eq!(
        error.causes,
        ["profiles/templates/common/db.conf:2: `secrets.nope` is not defined"]
    );
}

#[test]
fn a_syntax_error_shows_before_anything_is_rendered() {
    let error = rendered_with(&[("heat/heat.conf", "a\n{% if %}\n")], "").unwrap_err();
    assert!(
        error.message.starts_with("profiles/templates/heat/heat.conf:2: syntax error"),
        "{error}"
    );
    let error = rendered_with(
        &[("heat/heat.conf", "{% include 'nope' %}")],
        "{% include 'heat/heat.conf' %}",
    );
    assert!(error.unwrap_err().to_string().contains("nope"));
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "{{ members(secrets.heat_service_password) }}",
        "{{ secrets.heat_service_password.nope }}",
        "{{ secrets.heat_service_password + 1 }}",
        "{{ secrets.heat_service_password | nofilter }}",
        "{{ secrets.heat_service_password | int }}",
        "{% include secrets.heat_service_password %}",
        "{{ secrets[secrets.heat_service_password] }}",
        "{{ uuid(secrets.heat_service_password, 1) }}",
    ] {
        let error = failure(text);
        assert!(!format!("{error:?}").contains("hunter2"), "{text}: {error:?}");
    }
}

#[test]
fn block_tags_leave_no_lines() {
    let text = "a\n  {% if true %}\n  b\n  {% endif %}\n{# note #}\nc\n";
    assert_eq!(rendered(text), "a\n  b\nc\n");
}

#[test]
fn a_file_has_its_path_owner_mode_and_overrides() {
    let template = "[DEFAULT]\nworkers = {{ sizing.rpc_workers }}\nlist = a\nlist = b\n";
    let overrides = [
        ("global.conf", "[DEFAULT]\nworkers = 7\nlist = c\n"),
        ("heat_engine/1/heat.conf", "[DEFAULT]\nworkers = 9\n[new]\nx = 1\n"),
        ("heat_engine/2/heat.conf", "[DEFAULT]\nworkers = 8\n"),
    ];
    let file = heat_conf(template, &overrides).unwrap();
    assert_eq!(file.path, "/etc/heat/heat.conf");
    assert_eq!((file.owner.as_str(), file.mode), ("root:heat", 0o640));
    let text = String::from_utf8(file.content).unwrap();
    assert_eq!(text, "[DEFAULT]\nworkers = 9\nlist = c\n\n[new]\nx = 1\n");
    assert_eq!(text.as_bytes(), heat_conf(template, &overrides).unwrap().content);
}

#[test]
fn a_template_that_is_no_ini_file_says_so() {
    let error = heat_conf("[DEFAULT]\nnonsense\n", &[]).unwrap_err();
    assert!(error.to_string().contains("line 2 of what it renders to"), "{error}");
}
