"""Train PPO on CartPole with stable-baselines3, evaluate the policy and save it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--timesteps", type=int, default=2048)
    arguments = parser.parse_args()

    model = PPO("MlpPolicy", "CartPole-v1", seed=arguments.seed, device="cpu", verbose=1)
    model.learn(total_timesteps=arguments.timesteps)
    mean_reward, std_reward = evaluate_policy(model, model.get_env(), n_eval_episodes=10)
    model.save("ppo_cartpole")
    Path("results.json").write_text(json.dumps({"mean_reward": mean_reward, "std_reward": std_reward}))
    print(f"mean reward {mean_reward:.1f} +/- {std_reward:.1f}")


if __name__ == "__main__":
    main()
