"""Writes tests/golden/schedules.json: timesteps and step coefficients of diffusers' samplers, and
tests/golden/scheduler_files.json: the same from scheduler_config.json files as several classes save them.

A sampler step is linear in latent and prediction, so applying diffusers' step to (1, 0) and (0, 1) reads off its two
coefficients. Usage: python tests/oracle/make_schedule_goldens.py
"""
import json
import pathlib
import tempfile

import diffusers
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

BETAS = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def step_result(scheduler, euler, index, timestep, latent, prediction, noise, eta):
    def number(value):
        return torch.tensor([value], dtype=torch.float64)

    if euler:
        scheduler._step_index = index
        scheduler.is_scale_input_called = True
        return float(scheduler.step(number(prediction), timestep, number(latent)).prev_sample[0])
    return float(scheduler.step(number(prediction), timestep, number(latent), eta=eta,
                                variance_noise=number(noise)).prev_sample[0])


def coefficients(scheduler, euler, count, eta):
    """One row a step: timestep, input scale, latent gain, prediction gain, noise gain."""
    scheduler.set_timesteps(count)
    rows = []
    for index, timestep in enumerate(scheduler.timesteps):
        rows.append([
            float(timestep),
            float(1 / (scheduler.sigmas[index] ** 2 + 1) ** 0.5) if euler else 1.0,
            step_result(scheduler, euler, index, timestep, 1.0, 0.0, 0.0, eta),
            step_result(scheduler, euler, index, timestep, 0.0, 1.0, 0.0, eta),
            step_result(scheduler, euler, index, timestep, 0.0, 0.0, 1.0, eta) if not euler else 0.0,
        ])
    return rows


SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
V = dict(SD, prediction_type="v_prediction")

# What a file holds: its class (None: only the keys given, as an old file has them), its options; then the samplers that
# read it.
FILES = [
    ("EulerDiscreteScheduler", dict(SD, use_karras_sigmas=True), "ddim euler"),
    ("EulerDiscreteScheduler", dict(V, use_karras_sigmas=True, steps_offset=1, timestep_spacing="leading"), "euler"),
    ("EulerDiscreteScheduler", dict(SD, use_karras_sigmas=True, sigma_min=0.05, sigma_max=12.5), "euler"),
    ("EulerDiscreteScheduler", dict(SD, sigma_min=0.05, sigma_max=12.5), "euler"),
    ("EulerDiscreteScheduler", dict(SD, use_exponential_sigmas=True, timestep_spacing="trailing"), "euler"),
    ("EulerDiscreteScheduler", dict(V, use_exponential_sigmas=True, sigma_max=20.0), "euler"),
    ("EulerDiscreteScheduler", dict(SD, interpolation_type="log_linear"), "ddim euler"),
    ("EulerDiscreteScheduler", dict(SD, interpolation_type="log_linear", use_karras_sigmas=True), "euler"),
    ("EulerDiscreteScheduler", dict(V, timestep_type="continuous"), "ddim euler"),
    ("EulerDiscreteScheduler", dict(SD, timestep_type="continuous"), "euler"),
    ("EulerDiscreteScheduler", dict(V, timestep_type="continuous", use_karras_sigmas=True), "euler"),
    ("EulerDiscreteScheduler", dict(SD, final_sigmas_type="sigma_min"), "euler"),
    ("EulerDiscreteScheduler", dict(SD, final_sigmas_type="sigma_min", use_karras_sigmas=True), "euler"),
    ("EulerDiscreteScheduler", dict(V, rescale_betas_zero_snr=True, timestep_spacing="trailing"), "ddim euler"),
    ("EulerDiscreteScheduler", dict(SD, rescale_betas_zero_snr=True, timestep_spacing="trailing"), "euler"),
    ("DDIMScheduler", dict(V, rescale_betas_zero_snr=True, timestep_spacing="trailing", clip_sample=False), "ddim"),
    ("DDIMScheduler", dict(SD, rescale_betas_zero_snr=True, clip_sample=False, steps_offset=1), "ddim euler"),
    ("DDIMScheduler", dict(SD, clip_sample=False, set_alpha_to_one=False), "ddim euler"),
    ("DDIMScheduler", dict(clip_sample=False, beta_schedule="squaredcos_cap_v2", num_train_timesteps=400), "ddim euler"),
    ("DDIMScheduler", dict(clip_sample=False, trained_betas=[0.001 * (1 + i % 7) for i in range(60)],
                           num_train_timesteps=60), "ddim euler"),
    ("PNDMScheduler", dict(SD, skip_prk_steps=True, steps_offset=1), "ddim euler"),
    ("DPMSolverMultistepScheduler", dict(SD, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++"), "ddim euler"),
    ("DPMSolverMultistepScheduler", dict(V, steps_offset=1, timestep_spacing="leading"), "ddim euler"),
    ("DPMSolverMultistepScheduler", dict(SD, final_sigmas_type="sigma_min", use_lu_lambdas=True), "ddim euler"),
    ("DPMSolverSinglestepScheduler", dict(SD), "ddim euler"),
    ("UniPCMultistepScheduler", dict(SD, use_exponential_sigmas=True), "ddim euler"),
    ("DEISMultistepScheduler", dict(SD), "ddim euler"),
    ("HeunDiscreteScheduler", dict(SD), "ddim euler"),
    ("LMSDiscreteScheduler", dict(SD), "ddim euler"),
    ("KDPM2AncestralDiscreteScheduler", dict(SD), "ddim euler"),
    ("dump of DDIMScheduler", dict(SD, prediction_type="v_prediction"), "ddim euler"),
    ("dump of PNDMScheduler", dict(SD, set_alpha_to_one=False), "ddim euler"),
    ("dump of EulerDiscreteScheduler", dict(SD, use_karras_sigmas=True), "ddim euler"),
    ("dump of DPMSolverMultistepScheduler", dict(SD, steps_offset=1), "ddim euler"),
    (None, dict(SD, _class_name="PNDMScheduler", clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True,
                steps_offset=1, num_train_timesteps=1000), "ddim euler"),
    (None, dict(SD, _class_name="PNDMScheduler", clip_sample=False), "ddim euler"),
    (None, dict(SD, _class_name="EulerDiscreteScheduler", clip_sample=False), "ddim euler"),
    (None, dict(_class_name="HeunDiscreteScheduler", clip_sample=False), "ddim euler"),
]


def file_cases():
    cases = []
    for kind, options, readers in FILES:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "scheduler_config.json"
            if kind and kind.startswith("dump of "):
                # With "_use_default_values", as a script writes a config out.
                kind = kind.removeprefix("dump of ")
                path.write_text(json.dumps({"_class_name": kind, **dict(getattr(diffusers, kind)(**options).config)}))
            elif kind:
                getattr(diffusers, kind)(**options).save_pretrained(folder)
            else:
                path.write_text(json.dumps(options))
            text = path.read_text()
            for name in readers.split():
                # The pipelines never clip; DDIM alone would, where a file does not say.
                extra = dict(clip_sample=False) if name == "ddim" else {}
                scheduler = (DDIMScheduler if name == "ddim" else EulerDiscreteScheduler).from_pretrained(folder, **extra)
                for count in (1, 9):
                    rows = coefficients(scheduler, name == "euler", count, 0.0)
                    cases.append({"file": text, "sampler": name, "count": count, "eta": 0.0,
                                  "spacing": scheduler.config.timestep_spacing,
                                  "prediction": scheduler.config.prediction_type,
                                  "initial_scale": float(scheduler.init_noise_sigma), "steps": rows})
    return cases


def write(name, cases):
    target = pathlib.Path(__file__).parent.parent / "golden" / name
    target.write_text("[" + ",\n ".join(json.dumps(case) for case in cases) + "]\n")


def main():
    cases = []
    for name, kind in (("ddim", DDIMScheduler), ("euler", EulerDiscreteScheduler)):
        for spacing in ("leading", "trailing", "linspace"):
            for prediction in ("epsilon", "v_prediction"):
                for count, eta, offset, to_one in ((20, 0.0, 1, False), (7, 1.0, 0, True)):
                    options = dict(BETAS, timestep_spacing=spacing, prediction_type=prediction, steps_offset=offset)
                    if name == "ddim":
                        options.update(clip_sample=False, set_alpha_to_one=to_one)
                    else:
                        eta = 0.0
                    scheduler = kind(**options)
                    rows = coefficients(scheduler, name == "euler", count, eta)
                    cases.append({"sampler": name, "spacing": spacing, "prediction": prediction, "count": count,
                                  "eta": eta, "steps_offset": offset, "set_alpha_to_one": to_one,
                                  "initial_scale": float(scheduler.init_noise_sigma), "steps": rows})
    write("schedules.json", cases)
    write("scheduler_files.json", file_cases())


if __name__ == "__main__":
    main()
