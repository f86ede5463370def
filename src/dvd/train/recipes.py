"""Every training run by name."""

from __future__ import annotations

from dataclasses import replace

from dvd.backbones.mini import MiniConfig
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.data.sequences import Augmentation
from dvd.train.settings import (
    Adaptation,
    Mixture,
    ModelSettings,
    Recipe,
    ShardSet,
    SourceSettings,
    Validation,
)
from dvd.train.tasks import AdaptPhase, FlowPhase
from dvd.train.vae_tasks import DecoderPhase, EncoderPhase, VAEPhase

VKITTI_SIZE = (352, 1216)
HYPERSIM = SourceSettings("hypersim", "hypersim", "image", weight=9)
VKITTI_IMAGES = SourceSettings("vkitti-images", "virtual_kitti_2", "image", weight=1, size=VKITTI_SIZE)
TARTANAIR = SourceSettings("tartanair", "tartanair", "video", weight=40)
VKITTI_VIDEOS = SourceSettings("vkitti-videos", "virtual_kitti_2", "video", weight=10, size=VKITTI_SIZE)
PAPER_SOURCES = (HYPERSIM, VKITTI_IMAGES, TARTANAIR, VKITTI_VIDEOS)

PAPER = Recipe(
    name="dvd-wan-1.3b",
    summary="the paper's run (Table 5): LoRA on Wan2.1 1.3B, paired batches of 16 videos and 128 images",
    model=ModelSettings("wan", weights="wan2.1-t2v-1.3b", gradient_checkpointing=True),
    adaptation=Adaptation(kind="lora", rank=512, alpha=512),
    sources=PAPER_SOURCES,
    phases=(
        AdaptPhase(
            name="adapt",
            steps=10_000,
            accumulate=2,
            mixture=Mixture("paired", video_batch=16, image_batch=128),
        ),
    ),
    validation=Validation(
        SourceSettings("validation", "virtual_kitti_2", "video", size=VKITTI_SIZE, split="held-out"), size=VKITTI_SIZE
    ),
    precision="bf16",
)

RELEASE = Recipe(
    name="dvd-wan-1.3b-release",
    summary="the release's run: one source per micro-batch, drawn 9 : 1 : 40 : 10, four micro-batches per step",
    model=PAPER.model,
    adaptation=PAPER.adaptation,
    sources=PAPER_SOURCES,
    phases=(
        # Eight GPUs × four micro-batches of one video or eight images each.
        AdaptPhase(
            name="adapt", steps=10_000, accumulate=4, mixture=Mixture("weighted", video_batch=32, image_batch=256)
        ),
    ),
    validation=PAPER.validation,
    precision="bf16",
)

GENERATIVE = replace(
    PAPER,
    name="dvd-wan-1.3b-generative",
    summary="the generative baseline (Fig. 11): data, LoRA and batches of the paper's run, sampled in T = 10 steps",
    phases=(FlowPhase(name="depth", content="depth", steps=10_000, accumulate=2, mixture=PAPER.phases[0].mixture),),
)

SMALL = ((112, 144), (96, 160), (128, 128), (144, 192))
DEPLOYED = ((144, 192), (144, 256), (192, 256), (192, 256), (192, 160), (192, 320))

MINI_IMAGES = AdaptPhase(
    name="images",
    steps=5000,
    rate=1e-3,
    encoder_rate=1e-4,
    muon=True,
    betas=(0.9, 0.98),
    warm_up=300,
    average=0.998,
    mixture=Mixture("image", image_batch=16, sizes=SMALL),
)

MINI_VAE = VAEPhase(
    name="vae",
    steps=2000,
    rate=1.5e-3,
    schedule="cosine",
    warm_up=100,
    weight_decay=1e-4,
    betas=(0.9, 0.95),
    mixture=Mixture("paired", video_batch=1, image_batch=8, frames=9, sizes=((96, 128),)),
)

# Trained on nine frames, a causal VAE forgets what it sees after them: the error of its 33rd frame was tenfold.
MINI_MOTION = replace(
    MINI_VAE,
    name="motion",
    steps=900,
    rate=1e-3,
    warm_up=50,
    kl_weight=1e-3,
    mixture=Mixture("paired", video_batch=2, image_batch=4, frames=33, sizes=((64, 96), (96, 128))),
)

# Half as long at a fifth of the rate, the network stayed one for small pictures (docs/dvd-mini.md).
MINI_DEPLOYED = replace(
    MINI_IMAGES,
    name="deployed",
    steps=560,
    rate=5e-4,
    schedule="cosine",
    warm_up=30,
    average=0.99,
    mixture=Mixture("paired", video_batch=2, image_batch=8, frames=33, sizes=DEPLOYED),
)

MINI_DECODER = DecoderPhase(
    name="decoder",
    steps=200,
    rate=5e-4,
    schedule="cosine",
    warm_up=20,
    weight_decay=1e-4,
    betas=(0.9, 0.95),
    mixture=Mixture("paired", video_batch=2, image_batch=4, frames=33, sizes=DEPLOYED),
)

MINI = Recipe(
    name="dvd-mini",
    summary="the embedded model: ImageNet encoder, small transformer, small causal VAE, on procedural scenes",
    model=ModelSettings("mini", mini=MiniConfig()),
    sources=(
        SourceSettings(
            "images", "procedural", "image", view=Augmentation(), scenes=ShardSet(scenes=8192, frames=1, views=4)
        ),
        SourceSettings(
            "clips", "procedural", "video", view=Augmentation(), scenes=ShardSet(1280, 33, first_seed=1_000_000)
        ),
    ),
    phases=(
        MINI_VAE,
        MINI_IMAGES,
        MINI_MOTION,
        replace(
            MINI_DEPLOYED,
            name="clips",
            steps=1100,
            warm_up=100,
            average=0.998,
            mixture=replace(MINI_DEPLOYED.mixture, video_batch=4, sizes=SMALL),
        ),
        MINI_DEPLOYED,
        MINI_DECODER,
    ),
    validation=Validation(
        SourceSettings("held-out", "procedural", "video", scenes=ShardSet(16, 33, first_seed=9_000_000)),
        every=1000,
        clips=16,
        frames=33,
        size=(192, 256),
    ),
    save_every=250,
)

MINI_FINETUNE = Recipe(
    name="dvd-mini-finetune",
    summary="goes on from the embedded model: an encoder for its VAE's decoder, then clips at the deployed sizes",
    model=ModelSettings("mini", weights="dvd-mini"),
    sources=(
        SourceSettings(
            "images", "procedural", "image", view=Augmentation(), scenes=ShardSet(2048, 1, views=4, first_seed=100_000)
        ),
        SourceSettings(
            "clips", "procedural", "video", view=Augmentation(), scenes=ShardSet(512, 33, first_seed=2_000_000)
        ),
    ),
    phases=(
        EncoderPhase(
            name="encoder",
            steps=300,
            rate=1.5e-3,
            schedule="cosine",
            warm_up=30,
            weight_decay=1e-4,
            betas=(0.9, 0.95),
            mixture=replace(MINI_MOTION.mixture, sizes=((96, 128), (112, 144))),
        ),
        replace(MINI_DEPLOYED, name="clips", steps=600, warm_up=60),
        MINI_DECODER,
    ),
    validation=MINI.validation,
    save_every=100,
)

TINY_TRANSFORMER = TransformerConfig(dim=96, ffn_dim=256, text_dim=32, freq_dim=64, num_heads=2, num_layers=3)
TINY_VAE = VAEConfig(
    dim=16,
    dim_mult=(1, 2, 2),
    num_res_blocks=1,
    temporal_downsample=(True, True),
    patch=2,
    latents_mean=(0.0,) * 16,
    latents_std=(1.0,) * 16,
)

SMOKE = Recipe(
    name="smoke",
    summary="the all-Wan form in two minutes: VAE, rectified-flow prior, LoRA adaptation, validation",
    model=ModelSettings("wan", transformer=TINY_TRANSFORMER, vae=TINY_VAE),
    adaptation=Adaptation(kind="lora", rank=32, alpha=32),
    sources=(
        SourceSettings("images", "procedural", "image", scenes=ShardSet(96, 1, views=2, height=48, width=64)),
        SourceSettings(
            "clips", "procedural", "video", scenes=ShardSet(32, 9, height=48, width=64, first_seed=1_000_000)
        ),
    ),
    phases=(
        VAEPhase(
            name="vae",
            steps=160,
            rate=2e-3,
            schedule="cosine",
            warm_up=10,
            content=("rgb", "disparity"),
            mixture=Mixture("paired", video_batch=1, image_batch=4, frames=5, sizes=((48, 64),)),
        ),
        FlowPhase(
            name="pretrain",
            steps=100,
            rate=2e-3,
            schedule="cosine",
            warm_up=10,
            mixture=Mixture("paired", video_batch=2, image_batch=8, frames=9, sizes=((48, 64),)),
        ),
        AdaptPhase(
            name="adapt",
            steps=220,
            rate=4e-3,
            schedule="cosine",
            warm_up=10,
            average=0.95,
            mixture=Mixture("paired", video_batch=2, image_batch=8, frames=9, sizes=((48, 64),)),
        ),
    ),
    validation=Validation(
        SourceSettings(
            "held-out", "procedural", "video", scenes=ShardSet(4, 9, height=48, width=64, first_seed=9_000_000)
        ),
        every=110,
        clips=4,
        frames=9,
        size=(48, 64),
        samples=1,
    ),
    save_every=50,
    threads=1,
)

SMOKE_GENERATIVE = replace(
    SMOKE,
    name="smoke-generative",
    summary="smoke with a depth flow in place of the adaptation: the generative baseline, sampled in T = 10 steps",
    phases=(
        *SMOKE.phases[:-1],
        FlowPhase(
            name="depth",
            content="depth",
            steps=220,
            rate=4e-3,
            schedule="cosine",
            warm_up=10,
            average=0.95,
            mixture=SMOKE.phases[-1].mixture,
        ),
    ),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (PAPER, RELEASE, GENERATIVE, MINI, MINI_FINETUNE, SMOKE, SMOKE_GENERATIVE)
}
