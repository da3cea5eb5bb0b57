//! `ai-api-plugin-build MODULE.wasm COMPONENT.wasm …`, in pairs: what builds the plugins that the gateway embeds, before
//! there is a gateway. An author's command is `ai-api plugin build`.

use std::path::Path;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (pairs, rest) = args.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        bail!("usage: ai-api-plugin-build MODULE.wasm COMPONENT.wasm [MODULE.wasm COMPONENT.wasm …]");
    }
    for [module, component] in pairs {
        build(Path::new(module), Path::new(component)).with_context(|| format!("building {component}"))?;
    }
    Ok(())
}

/// Writes `component` unless it is up to date already: whoever embeds it need not be built again then.
fn build(module: &Path, component: &Path) -> Result<()> {
    let bytes = std::fs::read(module).with_context(|| format!("reading {}", module.display()))?;
    let encoded = ai_api_plugin_build::componentize(&bytes)?;
    if std::fs::read(component).is_ok_and(|current| current == encoded) {
        return Ok(());
    }
    if let Some(folder) = component.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    std::fs::write(component, &encoded).with_context(|| format!("writing {}", component.display()))?;
    println!("built {} ({} KB)", component.display(), encoded.len() / 1024);
    Ok(())
}
