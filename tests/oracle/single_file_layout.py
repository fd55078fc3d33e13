"""Names of the original Stable Diffusion 1.x layout for weights with diffusers names: what people's single files hold."""

import re

RESIDUAL = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
            "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
OUTSIDE = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
           "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2"}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def residual(rest):
    module, end = rest.rsplit(".", 1)
    return f"{RESIDUAL[module]}.{end}"


def unet_name(name, layers, down_types):
    stride = layers + 1
    if match := re.match(r"down_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", name):
        return f"input_blocks.{1 + int(match[1]) * stride + int(match[2])}.0.{residual(match[3])}"
    if match := re.match(r"down_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", name):
        return f"input_blocks.{1 + int(match[1]) * stride + int(match[2])}.1.{match[3]}"
    if match := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{stride * (int(match[1]) + 1)}.0.op.{match[2]}"
    if match := re.match(r"mid_block\.resnets\.(\d)\.(.*)", name):
        return f"middle_block.{2 * int(match[1])}.{residual(match[2])}"
    if match := re.match(r"mid_block\.attentions\.0\.(.*)", name):
        return f"middle_block.1.{match[1]}"
    if match := re.match(r"up_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", name):
        return f"output_blocks.{int(match[1]) * stride + int(match[2])}.0.{residual(match[3])}"
    if match := re.match(r"up_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", name):
        return f"output_blocks.{int(match[1]) * stride + int(match[2])}.1.{match[3]}"
    if match := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.(.*)", name):
        place = 2 if down_types[-1 - int(match[1])].startswith("CrossAttn") else 1
        return f"output_blocks.{int(match[1]) * stride + layers}.{place}.{match[2]}"
    module, end = name.rsplit(".", 1)
    return f"{OUTSIDE[module]}.{end}"


def decoder_name(name, levels):
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if match := re.match(r"decoder\.mid_block\.resnets\.(\d)\.(.*)", name):
        return f"decoder.mid.block_{int(match[1]) + 1}.{match[2]}"
    if match := re.match(r"decoder\.mid_block\.attentions\.0\.(.*)\.(\w+)$", name):
        return f"decoder.mid.attn_1.{ATTENTION[match[1]]}.{match[2]}"
    if match := re.match(r"decoder\.up_blocks\.(\d)\.resnets\.(\d)\.(.*)", name):
        return f"decoder.up.{levels - 1 - int(match[1])}.block.{match[2]}.{match[3]}"
    if match := re.match(r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.(.*)", name):
        return f"decoder.up.{levels - 1 - int(match[1])}.upsample.{match[2]}"
    return name


def original_names(unet, decoder, text, layers, down_types, levels):
    """One dictionary of all weights; the decoder's attention as 1x1 convolutions, as there."""
    state = {f"model.diffusion_model.{unet_name(k, layers, down_types)}": v for k, v in unet.items()}
    for name, value in decoder.items():
        renamed = decoder_name(name, levels)
        if ".mid.attn_1." in renamed and value.ndim == 2:
            value = value[:, :, None, None]
        state[f"first_stage_model.{renamed}"] = value
    for name, value in text.items():
        state[f"cond_stage_model.transformer.{name}"] = value
    return state
