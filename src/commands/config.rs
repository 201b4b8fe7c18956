//! `aio config`: a container's configuration files, and why they are what they are.

use std::process::ExitCode;

use console::{measure_text_width, style};

use super::global::Global;
use crate::cloud::files::{Files, ListedFile};
use crate::error::Result;
use crate::render::ExplainedLine;
use crate::state::topology::Topology;
use crate::ui::table::Table;

/// Arguments of `aio config`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio config heat_engine                     its files
  aio config heat_engine heat.conf           one of them, secrets included
  aio config heat_engine heat.conf --why     what set each line; secrets by name

What is shown is what the next `aio bootstrap` writes: your variables, overrides and secrets as
they are now.")]
pub struct Args {
    /// Which container
    #[arg(value_name = "NAME")]
    pub container: String,
    /// Which file: its path in the container, or the end of it; a list without one
    #[arg(value_name = "FILE")]
    pub file: Option<String>,
    /// Say of each line which template, variable, override or secret set it
    #[arg(long, requires = "file")]
    pub why: bool,
}

/// The widest line beside which its reasons are aligned.
const ALIGNED_WIDTH: usize = 60;

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let files = Files::open(&global.paths())?;
    let topology = Topology::new(files.cloud.containers.clone());
    let container = topology.select_one(&args.container)?;
    let Some(name) = &args.file else {
        let listed = files.list(container)?;
        global.print(listed.as_slice(), table)?;
        return Ok(ExitCode::SUCCESS);
    };
    let path = files.find(container, name)?;
    if args.why {
        let lines = files.explain(container, &path)?;
        global.print(lines.as_slice(), explained)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = files.render(container, &path)?;
    let text = String::from_utf8_lossy(&file.content);
    let data = serde_json::json!({
        "container": container.name,
        "path": file.path,
        "owner": file.owner,
        "mode": format!("{:04o}", file.mode),
        "content": text,
    });
    global.print(&data, |_| text.into_owned())?;
    Ok(ExitCode::SUCCESS)
}

fn table(listed: &[ListedFile]) -> String {
    let mut table = Table::new(["file", "owner", "mode", "template", "overrides"]);
    for file in listed {
        table.row([
            file.path.clone(),
            file.owner.clone(),
            file.mode.clone(),
            file.template.clone().unwrap_or_default(),
            file.overrides.join(" "),
        ]);
    }
    table.render()
}

/// Lines with their reasons beside them.
fn explained(lines: &[ExplainedLine]) -> String {
    let widths = lines.iter().map(|line| measure_text_width(&line.text));
    let width = widths.filter(|width| *width <= ALIGNED_WIDTH).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
        let padding = width.saturating_sub(measure_text_width(&line.text));
        let reasons = style(format!("  # {}", reasons.join(", "))).dim().to_string();
        let shown = format!("{}{}{reasons}", line.text, " ".repeat(padding));
        // An empty line needs no reason.
        text.push_str(if line.text.is_empty() { "" } else { &shown });
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origin::Origin;
    use crate::render::Reason;

    #[test]
    fn reasons_stand_beside_their_lines() {
        console::set_colors_enabled(false);
        let line = |text: &str, secret: &str| ExplainedLine {
            text: text.to_owned(),
            reasons: vec![Reason {
                name: None,
                origin: Origin::Secret { name: secret.to_owned() },
            }],
        };
        let long = "x".repeat(ALIGNED_WIDTH + 1);
        let lines =
            [line("[a]", "one"), line("", "none"), line("key = 1", "two"), line(&long, "three")];
        assert_eq!(
            explained(&lines),
            format!("[a]      # secret one\n\nkey = 1  # secret two\n{long}  # secret three\n")
        );
    }
}
