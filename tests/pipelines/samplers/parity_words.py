"""What docs/samplers.md says besides numbers: papers, other programs' names, and what has no equal here."""

A1111 = (
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler", "LMS", "Heun", "DPM2",
    "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC", "LCM",
)  # fmt: skip
COMFY = (
    "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2", "exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_2",
    "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive", "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu",
    "dpmpp_2m", "dpmpp_2m_cfg_pp", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm", "ipndm_v", "deis", "res_multistep", "res_multistep_cfg_pp", "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp", "gradient_estimation", "gradient_estimation_cfg_pp", "er_sde", "seeds_2", "seeds_3", "sa_solver",
    "ddim", "uni_pc", "uni_pc_bh2",
)  # fmt: skip
COMFY_SCHEDULES = ("simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic", "kl_optimal")
A1111_SCHEDULES = (
    "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal", "Align Your Steps", "Simple", "Normal",
    "DDIM", "Beta", "Turbo",
)  # fmt: skip

WUERSTCHEN = "pipelines.samplers.wuerstchen:DDPMWuerstchenScheduler"
ELSEWHERE = {"wuerstchen": "diffusers' Stable Cascade pipelines (tests/pipelines/families)"}
"""Rows of one family, measured with its models."""

_KARRAS, _DPM, _DPMPP = ("Karras 2022", "2206.00364"), ("Lu 2022a", "2206.00927"), ("Lu 2022b", "2211.01095")
_CFG_PP, _SEEDS, _RES = ("Chung 2024", "2406.08070"), ("Gonzalez 2023", "2305.14267"), ("Zhang 2023", "2308.02157")
PAPERS = {  # by the sampler's or the class's name: what to call the paper, and its number at arXiv
    "euler": _KARRAS, "heun": _KARRAS, "heunpp2": None, "dpm_2": _DPM, "dpm_2_ancestral": _DPM, "dpm_fast": _DPM, "dpm_adaptive": _DPM,
    "dpmpp_2s_ancestral": _DPMPP, "dpmpp_sde": _DPMPP, "dpmpp_2m": _DPMPP, "dpmpp_2m_sde": _DPMPP, "dpmpp_2m_sde_heun": _DPMPP,
    "dpmpp_3m_sde": _DPMPP, "euler_ancestral": ("Song 2020", "2010.02502"), "lms": ("Liu 2022", "2202.09778"),
    "restart": ("Xu 2023", "2306.14878"), "lcm": ("Luo 2023", "2310.04378"), "exp_heun_2_x0": _RES, "ipndm": ("Zhang 2022", "2204.13902"),
    "res_multistep": _RES, "gradient_estimation": ("Permenter 2023", "2306.04848"), "er_sde": ("Cui 2023", "2309.06169"), "seeds_2": _SEEDS,
    "seeds_3": _SEEDS, "ddim_cfg_pp": _CFG_PP, "euler_cfg_pp": _CFG_PP, "dpmpp_2s_ancestral_cfg_pp": _CFG_PP, "dpmpp_2m_cfg_pp": _CFG_PP,
    "res_multistep_cfg_pp": _CFG_PP, "gradient_estimation_cfg_pp": _CFG_PP, "DDIMScheduler": ("Song 2020", "2010.02502"),
    "PNDMScheduler": ("Liu 2022", "2202.09778"), "UniPCMultistepScheduler": ("Zhao 2023", "2302.04867"),
    "DDPMScheduler": ("Ho 2020", "2006.11239"), "DEISMultistepScheduler": ("Zhang 2022", "2204.13902"),
    WUERSTCHEN: ("Pernias 2023", "2306.00637"),
    "SASolverScheduler": ("Xue 2023", "2309.05019"), "DPMSolverSinglestepScheduler": _DPMPP, "TCDScheduler": ("Zheng 2024", "2402.19159"),
}  # fmt: skip

LOOSE = {  # rows that may be further from their reference than 1e-4, and why
    "er_sde": (5e-3, "the authors take its integrals as sums of 200 terms, and so do we; the reference integrates"),
}
REMARKS = {  # what the number does not say
    "dpm_adaptive": "k-diffusion keeps its place in single precision, so its steps are chosen a little otherwise",
    "dpm_fast": "k-diffusion keeps its place in single precision",
    "lcm": "diffusers has boundary terms that differ from 0 and 1 by a millionth",
}

NOT_THE_SAME = (  # (program, name, what it is taken for here or None, why)
    ("ComfyUI", "ipndm_v", "lms", "meant to be multistep with uneven steps, which is LMS; a misplaced bracket there makes it another"),
    ("ComfyUI", "uni_pc", "unipc", "its variant bh1; diffusers' default, and so ours, is bh2 (`uni_pc_bh2`)"),
    ("ComfyUI", "deis", "deis", "of third order over sigma there; here diffusers' class, of second order over log-SNR"),
    ("ComfyUI", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_2s_a_cfg_pp", "takes the unguided estimate from the middle of the step, not its start"),
    ("ComfyUI", "dpmpp_2m_cfg_pp", "dpmpp_2m_cfg_pp", "extrapolates from the old unguided to the new guided estimate; here as the authors"),
    ("ComfyUI", "res_multistep_cfg_pp", "res_multistep_cfg_pp", "adds only a share of the guidance after the first step; here all of it"),
    ("ComfyUI", "beta (schedule)", "beta", "over timesteps, which is `beta_timesteps` here; A1111's and diffusers' `beta` is over sigmas"),
    ("ComfyUI", "sa_solver_pece", None, "asks once more after each correction, which diffusers' class cannot"),
    ("ComfyUI", "names of custom nodes", None, "there is no published form to check them against"),
    ("diffusers", "CogVideoX…, Consistency…, VQDiffusion… schedulers", None, "each is made for one model that is not offered here"),
    ("diffusers", "KarrasVe, RePaint, ScoreSde… schedulers", None, "samplers of pixel models and of other tasks"),
    ("diffusers", "DPMSolverMultistepInverse, DDIMInverse", None, "run from picture to noise"),
)  # fmt: skip
