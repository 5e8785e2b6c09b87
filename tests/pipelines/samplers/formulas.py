"""Samplers written out as their papers have them, one plain loop each: what ours are compared with where k-diffusion has none.

`D(x, sigma)` is the clean estimate, `levels` fall to 0, `noise(a, b)` is unit normal noise. CFG++ formulas take
`pair(x, sigma)`, the guided and the unguided estimate.
"""

import math
from itertools import pairwise

from scipy.integrate import quad

GAMMA = 2.0


def heunpp2(D, x, levels, noise):
    """The three cases of Heun++ one by one."""
    slope = lambda x, sigma: (x - D(x, sigma)) / sigma  # noqa: E731
    last = len(levels) - 2
    for index in range(len(levels) - 1):
        a, b = levels[index], levels[index + 1]
        d1 = slope(x, a)
        if index == last:
            mean = d1
        else:
            d2 = slope(x2 := x + d1 * (b - a), b)
            if index == last - 1:
                w2 = b / (2 * levels[0])
                mean = (1 - w2) * d1 + w2 * d2
            else:
                c = levels[index + 2]
                d3 = slope(x2 + d2 * (c - b), c)
                w2, w3 = b / (3 * levels[0]), c / (3 * levels[0])
                mean = (1 - w2 - w3) * d1 + w2 * d2 + w3 * d3
        x = x + mean * (b - a)
    return x


def gradient_estimation(D, x, levels, noise):
    """Algorithm 2 of the paper: the step along gamma·e + (1 - gamma)·e_before."""
    before = None
    for a, b in pairwise(levels):
        e = (x - D(x, a)) / a
        if b == 0:
            return D(x, a)
        x = x + (e if before is None else GAMMA * e + (1 - GAMMA) * before) * (b - a)
        before = e
    raise AssertionError


def er_sde(D, x, levels, noise):
    """Equation 22 of the paper and its Taylor terms, the integrals by quadrature."""
    phi = lambda s: s * (math.exp(s**0.3) + 10)  # noqa: E731
    history = []
    for a, b in pairwise(levels):
        d0 = D(x, a)
        if b == 0:
            return d0
        r = phi(b) / phi(a)
        step = r * x + (1 - r) * d0
        d1 = None
        if history:
            d1 = (d0 - history[-1][1]) / (a - history[-1][0])
            step = step + (b - a + phi(b) * quad(lambda s: 1 / phi(s), b, a)[0]) * d1
            if history[-1][2] is not None:
                d2 = (d1 - history[-1][2]) / ((a - history[-2][0]) / 2)
                step = step + ((b - a) ** 2 / 2 + phi(b) * quad(lambda s: (s - a) / phi(s), b, a)[0]) * d2
        history.append((a, d0, d1))
        x = step + noise(a, b) * math.sqrt(b * b - a * a * r * r)
    raise AssertionError


def seeds_2(D, x, levels, noise, eta=1.0):
    """Algorithm 1 of SEEDS with c = 1/2, in the data prediction."""
    return _two_stages(D, x, levels, noise, eta, 0.5, lambda h, first, second: _phi(1, h) * second)


def exp_heun_2_x0(D, x, levels, noise, eta=0.0):
    """The exponential method of Heun's tableau: c = 1, weights phi_1 - phi_2 and phi_2."""
    return _two_stages(D, x, levels, noise, eta, 1.0, lambda h, first, second: (_phi(1, h) - _phi(2, h)) * first + _phi(2, h) * second)


def _two_stages(D, x, levels, noise, eta, c, weighed):
    """Stages at the start and at the share `c` of the step of h = (1 + eta) log(a / b); noise as the exact path brings it."""
    for a, b in pairwise(levels):
        d1 = D(x, a)
        if b == 0:
            return d1
        h, m = (1 + eta) * math.log(a / b), b if c == 1 else a * (b / a) ** c
        drawn, later = _noises(noise, eta, *((a, m) if m == b else (a, m, b)))
        d2 = D(_decay(a, m, eta) * x + c * h * _phi(1, c * h) * d1 + drawn, m)
        x = _decay(a, b, eta) * x + h * weighed(h, d1, d2) + (drawn if later is None else later)
    raise AssertionError


def seeds_3(D, x, levels, noise, eta=1.0):
    """Algorithm 2 of SEEDS: stages at 0, 1/3 and 2/3 of the step."""
    for a, b in pairwise(levels):
        d1 = D(x, a)
        if b == 0:
            return d1
        h = (1 + eta) * math.log(a / b)
        m, n = a ** (2 / 3) * b ** (1 / 3), a ** (1 / 3) * b ** (2 / 3)
        w1, w2, w3 = _noises(noise, eta, a, m, n, b)
        d2 = D(_decay(a, m, eta) * x + h / 3 * _phi(1, h / 3) * d1 + w1, m)
        d3 = D(_decay(a, n, eta) * x + 2 * h / 3 * (_phi(1, 2 * h / 3) * d1 + 2 * _phi(2, 2 * h / 3) * (d2 - d1)) + w2, n)
        x = _decay(a, b, eta) * x + h * (_phi(1, h) * d1 + 1.5 * _phi(2, h) * (d3 - d1)) + w3
    raise AssertionError


def _phi(order, h):
    """phi_1(-h) and phi_2(-h) of exponential integrators."""
    return (1 - math.exp(-h)) / h if order == 1 else (math.exp(-h) - 1 + h) / h**2


def _decay(a, b, eta):
    return (b / a) ** (1 + eta)


def _noises(noise, eta, *points):
    """What the noise of dx = -(1 + eta) (x - D) dλ + sqrt(2 eta) σ dw has summed up to at each point after the first."""
    summed, found = 0.0, []
    for a, b in pairwise(points):
        if eta:
            summed = _decay(a, b, eta) * summed + noise(a, b) * b * math.sqrt(1 - (b / a) ** (2 * eta))
        found.append(summed)
    return found if len(found) > 1 else [*found, None]


def ipndm(D, x, levels, noise):
    """The pseudo linear multistep formulas (order 1 to 4 as slopes gather); the last step goes to the estimate."""
    e = []
    for a, b in pairwise(levels):
        d = D(x, a)
        if b == 0:
            return d
        e = [(x - d) / a, *e][:4]
        if len(e) == 1:
            mean = e[0]
        elif len(e) == 2:
            mean = (3 * e[0] - e[1]) / 2
        elif len(e) == 3:
            mean = (23 * e[0] - 16 * e[1] + 5 * e[2]) / 12
        else:
            mean = (55 * e[0] - 59 * e[1] + 37 * e[2] - 9 * e[3]) / 24
        x = x + (b - a) * mean
    raise AssertionError


# -- CFG++ --------------------------------------------------------------------------------------------------------------


def _ancestral(a, b, eta):
    up = eta * b * math.sqrt(1 - (b / a) ** 2)
    return math.sqrt(b * b - up * up), up


def euler_cfg_pp(pair, x, levels, noise, eta=0.0, share=1.0):
    """Algorithm 2 of the paper in sigma space: the guided estimate, and the unguided noise."""
    for a, b in pairwise(levels):
        guided, unguided = pair(x, a)
        down, up = _ancestral(a, b, eta)
        x = (1 - share) * unguided + share * guided + down * (x - unguided) / a
        x = x + up * noise(a, b) if up else x
    return x


def ddim_cfg_pp(pair, x, levels, noise, eta=0.0):
    """The same with the guidance divided by 12.5, as A1111 has it."""
    return euler_cfg_pp(pair, x, levels, noise, eta, 1 / 12.5)


def dpmpp_2m_cfg_pp(pair, x, levels, noise):
    """The authors' DPM++ 2M: as DDIM CFG++, and the change of the unguided estimate extrapolated."""
    t = [-math.log(level) if level else math.inf for level in levels]
    old = None
    for i in range(len(levels) - 1):
        guided, unguided = pair(x, levels[i])
        if old is None or levels[i + 1] == 0:
            x = guided + (x - unguided) / levels[i] * levels[i + 1]
        else:
            h, r = t[i + 1] - t[i], (t[i] - t[i - 1]) / (t[i + 1] - t[i])
            x = guided - math.exp(-h) * unguided - math.expm1(-h) * (unguided - old) / (2 * r) + math.exp(-h) * x
        old = unguided
    return x


def dpmpp_2s_ancestral_cfg_pp(pair, x, levels, noise, eta=1.0):
    """DPM++ 2S a from x + guided - unguided, so that what it takes for noise is the unguided noise."""
    for a, b in pairwise(levels):
        guided, unguided = pair(x, a)
        down, up = _ancestral(a, b, eta)
        if down == 0:
            return guided
        h, start = math.log(a / down), x + guided - unguided
        half = math.exp(-h / 2) * start - math.expm1(-h / 2) * guided
        x = math.exp(-h) * start - math.expm1(-h) * pair(half, a * math.exp(-h / 2))[0]
        x = x + up * noise(a, b) if up else x
    raise AssertionError


def res_multistep_cfg_pp(pair, x, levels, noise, eta=0.0):
    """RES's b1 and b2 on the unguided estimates, and what guidance adds."""
    old = old_down = None
    for i, (a, b) in enumerate(pairwise(levels)):
        guided, unguided = pair(x, a)
        down, up = _ancestral(a, b, eta)
        if down == 0:
            return guided
        if old is None:
            x = guided + (x - unguided) / a * down
        else:
            h, c2 = math.log(a / down), math.log(old_down / levels[i - 1]) / math.log(a / down)
            b1, b2 = _phi(1, h) - _phi(2, h) / c2, _phi(2, h) / c2
            x = math.exp(-h) * x + h * (b1 * unguided + b2 * old) + guided - unguided
        x = x + up * noise(a, b) if up else x
        old, old_down = unguided, down
    raise AssertionError


def res_multistep(D, x, levels, noise, eta=0.0):
    """The same without anything that guidance adds."""
    return res_multistep_cfg_pp(lambda x, sigma: (D(x, sigma),) * 2, x, levels, noise, eta)


def gradient_estimation_cfg_pp(pair, x, levels, noise):
    """Gradient estimation with the unguided slope, to the guided estimate."""
    before = None
    for a, b in pairwise(levels):
        guided, unguided = pair(x, a)
        if b == 0:
            return guided
        e = (x - unguided) / a
        x = guided + b * e + (0 if before is None else (GAMMA - 1) * (e - before) * (b - a))
        before = e
    raise AssertionError


# -- restart ------------------------------------------------------------------------------------------------------------


def restart(D, x, levels, noise):
    """A1111's setting of the authors' algorithm: Heun over Karras levels, from 0.1 back up to 2 once or twice more."""
    n, again, times = len(levels) - 1, 9, 1
    if n >= 36:
        again, times = n // 4, 2
    karras = lambda count, low, high: [  # noqa: E731
        (high ** (1 / 7) + i / (count - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(count)
    ]
    if n >= 20:
        levels = [*karras(n - again * times, levels[-2], levels[0]), 0.0]
    steps = []
    low, high = (min(range(len(levels)), key=lambda i, at=at: abs(levels[i] - at)) for at in (0.1, 2.0))
    for i in range(len(levels) - 1):
        steps.append((levels[i], levels[i + 1]))
        if n >= 20 and i + 1 == low:
            steps += list(pairwise(karras(again + 1, levels[low], levels[high]))) * times
    last = levels[0]
    for a, b in steps:
        x = x if a <= last else x + noise(last, a) * math.sqrt(a * a - last * last)
        d = (x - D(x, a)) / a
        if b == 0:
            x = x + d * (b - a)
        else:
            x2 = x + d * (b - a)
            x = x + (d + (x2 - D(x2, b)) / b) / 2 * (b - a)
        last = b
    return x
