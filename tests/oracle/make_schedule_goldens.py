"""Writes tests/golden/schedules.json: timesteps and step coefficients of diffusers' samplers.

A sampler step is linear in latent and prediction, so applying diffusers' step to (1, 0) and (0, 1) reads off its two
coefficients. Usage: python tests/oracle/make_schedule_goldens.py
"""
import json
import pathlib

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
    target = pathlib.Path(__file__).parent.parent / "golden" / "schedules.json"
    target.write_text("[" + ",\n ".join(json.dumps(case) for case in cases) + "]\n")


if __name__ == "__main__":
    main()
