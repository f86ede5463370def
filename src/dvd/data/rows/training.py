"""The data sets that training reads, as they are published, and folders of your own recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dvd.data import formats, motion
from dvd.data.folders import Patterns
from dvd.data.layout import IMAGE, Layout

HYPERSIM = Layout(
    name="hypersim",
    summary="rendered interiors, images only; HDF5, metres along the ray, 1024 × 768",
    paths=Patterns(
        rgb=r"{scene:ai_\d+_\d+}/images/scene_{camera:cam_\d+}_final_preview/frame.{frame:\d+}.tonemap.jpg",
        depth=r"{scene:ai_\d+_\d+}/images/scene_{camera:cam_\d+}_geometry_hdf5/frame.{frame:\d+}.depth_meters.hdf5",
        scene="{scene}",
        sequence="{scene}/{camera}",
    ),
    example=(
        "ai_001_001/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg",
        "ai_001_001/images/scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5",
    ),
    read=formats.read_hdf5,
    per_metre=1,
    range_m=(1e-3, 65.0),
    outside="clamped",
    licence="CC BY-SA 3.0",
    source="https://github.com/apple/ml-hypersim (NaN where a pixel sees no geometry; one focal length "
    "for all scenes, as in the release, although a few cameras differ)",
    ordered=False,
    ray=(886.81, 1024),
    nan_is_unknown=True,
    scenes=461,
    held_out=("val", "test"),
)


def _hypersim_forms() -> Iterator[Layout]:
    """Yield the release's form below `train/`, `val/` and `test/`, and prepared images in 16-bit planar millimetres."""
    for split, images in (("{split:train|val|test}/", "images/"), ("{split:train|val|test}/", ""), ("", "")):
        paths = replace(HYPERSIM.paths, split="{split}" if split else "", prefixes=(split,))
        yield replace(
            HYPERSIM,
            paths=replace(
                paths,
                rgb=paths.rgb.replace("/images/", f"/{images}"),
                depth=paths.depth.replace("/images/", f"/{images}"),
            ),
        )
        yield replace(
            HYPERSIM,
            paths=replace(
                paths,
                rgb=r"{scene:ai_\d+_\d+}/rgb_{camera:cam_\d+}_fr{frame:\d+}.{:png|jpg}",
                depth=r"{scene:ai_\d+_\d+}/depth_plane_{camera:cam_\d+}_fr{frame:\d+}.png",
            ),
            read=formats.read_png16,
            per_metre=1000,
            ray=None,
        )


TRAINING: tuple[Layout, ...] = (
    Layout(
        name="tartanair",
        summary="synthetic stereo flights; float metres, 640 × 480",
        paths=Patterns(
            rgb=r"{difficulty:Easy|Hard}/{trajectory:P\d+}/image_{side:left|right}/{frame:\d+}_{side}.png",
            depth=r"{difficulty:Easy|Hard}/{trajectory:P\d+}/depth_{side:left|right}/{frame:\d+}_{side}_depth.npy",
            scene="{scene}",
            sequence="{scene}/{difficulty}/{trajectory}/{side}",
            # Archives unpacked into a folder each nest the scene twice.
            prefixes=("{scene}/", "{scene}/{scene}/"),
        ),
        example=(
            "abandonedfactory/Easy/P000/image_left/000000_left.png",
            "abandonedfactory/Easy/P000/depth_left/000000_left_depth.npy",
        ),
        read=formats.read_npy,
        per_metre=1,
        range_m=(0.0, 50.0),
        outside="clamped",
        licence="CC BY 4.0",
        source="https://theairlab.org/tartanair-dataset (version 1)",
        cameras=motion.tartanair,
        scenes=(
            *("abandonedfactory", "abandonedfactory_night", "amusement", "carwelding", "endofworld"),
            *("gascola", "hospital", "japanesealley", "neighborhood", "ocean", "office", "office2"),
            *("oldtown", "seasidetown", "seasonsforest", "seasonsforest_winter", "soulcity", "westerndesert"),
        ),
    ),
    Layout(
        name="virtual_kitti_2",
        summary="synthetic street drives, stereo, ten conditions; 16-bit centimetres, 1242 × 375",
        paths=Patterns(
            rgb=r"Scene{scene:\d+}/{condition}/frames/rgb/Camera_{camera:0|1}/rgb_{frame:\d+}.jpg",
            depth=r"Scene{scene:\d+}/{condition}/frames/depth/Camera_{camera:0|1}/depth_{frame:\d+}.png",
            scene="Scene{scene}",
            sequence="Scene{scene}/{condition}/Camera_{camera}",
        ),
        example=(
            "Scene02/clone/frames/rgb/Camera_0/rgb_00000.jpg",
            "Scene02/clone/frames/depth/Camera_0/depth_00000.png",
        ),
        read=formats.read_png16,
        per_metre=100,
        range_m=(1e-5, 80.0),
        outside="uncounted",
        licence="CC BY-NC-SA 3.0",
        source="https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2 (the sky is stored as 655.35 m)",
        fps=10,
        scenes=("Scene01", "Scene02", "Scene06", "Scene18", "Scene20"),
        training=("Scene02", "Scene06", "Scene18", "Scene20"),
    ),
    replace(HYPERSIM, forms=tuple(_hypersim_forms())),
    Layout(
        name="rgbd",
        summary="a folder of rgb/ (or color/) and depth/, or a folder of those; 16-bit millimetres, 0 unknown",
        paths=Patterns(
            rgb=f"{{sequence}}/{{:rgb|color}}/{{frame}}.{IMAGE}",
            depth="{sequence}/depth/{frame}.{:png|PNG}",
            scene="{sequence}",
            sequence="{sequence}",
            tolerance=0.02,
        ),
        example=(
            "office/rgb/00000.png",
            "office/depth/00000.png",
        ),
        read=formats.read_png16,
        per_metre=1000,
        range_m=(1e-3, 80.0),
        outside="uncounted",
        cameras=motion.recording,
        licence="the recording's own",
        source="your own recordings; TUM's files have 5000 units a metre",
    ),
)
