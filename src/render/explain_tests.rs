use std::collections::BTreeMap;

use super::super::testing::{cloud, profiles, secrets};
use super::*;
use crate::config::overrides::Overrides;

/// The explained `heat.conf` of the heat engine, as `line <- reason, reason`.
fn explained(templates: &[(&str, &str)], overrides: &[(&str, &str)]) -> String {
    let profiles = profiles(templates);
    let cloud = cloud(&profiles);
    let overrides = Overrides::from_texts(overrides.iter().copied()).unwrap();
    let origin = Origin::UserVariables { place: "user_variables.yml:3".to_owned() };
    let renderer = Renderer::new(&cloud, &secrets(), &profiles, &overrides)
        .unwrap()
        .with_origins(BTreeMap::from([("debug".to_owned(), origin)]));
    let file = &cloud.services[1].containers["heat_engine"].files[0];
    let lines = renderer.explain(&cloud.containers[3], file).unwrap();
    let shown = lines.iter().map(|line| {
        let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
        format!("{} <- {}\n", line.text, reasons.join(", ").replace("profiles/templates/", ""))
    });
    shown.collect()
}

#[test]
fn every_line_has_its_reasons() {
    let heat = "\
{% set db = frontend('galera') %}
[DEFAULT]
{% if variables.debug %}
debug = true
{% endif %}
{% include 'common/url.conf' %}
workers = {{ sizing.rpc_workers }}
plugin = {{ db.port }}
";
    let url = "url = rabbit://heat:{{ secrets.heat_service_password | urlencode }}@{{ cloud.virtual_address }}\n";
    let overrides = [("heat.conf", "# mine\n[DEFAULT]\nworkers = 9\n[new]\nx = 1\n")];
    let text = explained(&[("heat/heat.conf", heat), ("common/url.conf", url)], &overrides);
    assert_eq!(
        text,
        "\
[DEFAULT] <- heat/heat.conf:2
debug = true <- heat/heat.conf:4, variables.debug: user_variables.yml:3
url = rabbit://heat:<secret heat_service_password>@172.29.236.101 <- common/url.conf:1, cloud.virtual_address, secret heat_service_password
workers = 9 <- overrides/heat.conf:3
plugin = 3306 <- heat/heat.conf:8, frontend(\"galera\"): profiles/services/galera.yml:7
 <- 
[new] <- overrides/heat.conf:5
x = 1 <- overrides/heat.conf:5
"
    );
}

#[test]
fn what_a_filter_makes_of_a_secret_is_named_not_computed() {
    let heat = "[a]\nx = {{ secrets.heat_service_password | sha256 }}\n";
    assert_eq!(
        explained(&[("heat/heat.conf", heat)], &[]),
        "[a] <- heat/heat.conf:1\n\
         x = <sha256 of <secret heat_service_password>> <- heat/heat.conf:2, secret heat_service_password\n"
    );
}

#[test]
fn a_secret_that_the_profile_names_is_found() {
    let heat = "[a]\n{% set which = 'heat_service_password' %}\nx = {{ secrets[which] }}\n";
    assert!(explained(&[("heat/heat.conf", heat)], &[]).contains("secret heat_service_password\n"));
}

#[test]
fn a_value_of_several_lines_belongs_to_the_line_that_wrote_it() {
    let heat = "[a]\n{% set x = \"p = 1\\nq = 2\" %}\n{{ x }}\n";
    assert_eq!(
        explained(&[("heat/heat.conf", heat)], &[]),
        "[a] <- heat/heat.conf:1\n\
         p = 1 <- heat/heat.conf:3\n\
         q = 2 <- heat/heat.conf:3\n"
    );
}

#[test]
fn a_template_that_works_on_its_own_text_is_explained_as_a_whole() {
    let heat = "[a]\n{% set x %}\nab\n{% endset %}\nlength = {{ x | length }}\n";
    assert_eq!(
        explained(&[("heat/heat.conf", heat)], &[]),
        "[a] <- heat/heat.conf\nlength = 3 <- heat/heat.conf\n"
    );
}

#[test]
fn what_a_profile_gives_to_a_template_names_the_profile() {
    let heat = "\
[a]
{% for service in services %}
{% for frontend in service.frontends %}
{% for line in frontend.options | render | lines %}
x = {{ line }}
{% endfor %}
y = {{ frontend.server_options }}
{% endfor %}
{% endfor %}
{% set own = services | selectattr('service', 'equalto', container.service) | first %}
z = {{ own.summary }}
";
    assert_eq!(
        explained(&[("heat/heat.conf", heat)], &[]),
        "\
[a] <- heat/heat.conf:1
x = bind 172.29.236.101 <- profiles/services/galera.yml:7, heat/heat.conf:5, services
y = check <- profiles/services/galera.yml:7, heat/heat.conf:7, services
z = x <- heat/heat.conf:11, container.service, profiles/services/heat.yml
"
    );
}
