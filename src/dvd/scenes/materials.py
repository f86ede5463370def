"""Random but plausible surfaces: walls, floors, wood, cloth, metal, asphalt, leaves, pictures."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from random import Random

from dvd.scenes.textures import (
    BRICKS,
    CHECKER,
    FACADE,
    PLAIN,
    PLANKS,
    PRINT,
    ROAD,
    STAINS,
    STRIPES,
    TILES,
    WHITE,
    Colour,
    Material,
    TextureBank,
)

WOVEN = (STRIPES, STRIPES, CHECKER, STAINS)
MASONRY = (*WOVEN, TILES, TILES, BRICKS, PLANKS)


@dataclass(frozen=True)
class Palette:
    """Draws materials from one scene's random stream and textures."""

    random: Random
    bank: TextureBank
    theme: tuple[Colour, ...] = ()
    """Colours that several things share, as in a real room."""

    def colour(self, hue: float, spread: float, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        """Draw linear RGB near a hue in [0, 1], saturation and value in sRGB terms."""
        r = self.random
        rgb = colorsys.hsv_to_rgb((hue + r.uniform(-spread, spread)) % 1.0, r.uniform(*saturation), r.uniform(*value))
        return rgb[0] ** 2.2, rgb[1] ** 2.2, rgb[2] ** 2.2

    def any_colour(self) -> Colour:
        """Draw a colour, often from the theme, else mostly grey or muted, now and then loud."""
        if self.theme and self.random.random() < 0.4:
            return self.random.choice(self.theme)
        chance = self.random.random()
        if chance < 0.45:
            return self.colour(0.1, 0.12, (0.0, 0.2), (0.15, 0.95))
        if chance < 0.87:
            return self.colour(self.random.random(), 0.0, (0.1, 0.5), (0.2, 0.85))
        return self.colour(self.random.random(), 0.0, (0.5, 0.95), (0.3, 0.95))

    def wood_colour(self) -> Colour:
        """Draw a colour from birch to walnut, sometimes of paint."""
        if self.random.random() < 0.2:
            return self.any_colour()
        return self.colour(0.075, 0.025, (0.25, 0.65), (0.2, 0.8))

    def material(
        self,
        a: Colour = WHITE,
        b: Colour = (0.1, 0.1, 0.1),
        *,
        pattern: int = PLAIN,
        period: tuple[float, float] = (1.0, 1.0),
        fraction: float = 0.5,
        variation: float = 0.0,
        noise: float = 0.0,
        noise_size: float = 0.3,
        texture: int = -1,
        texture_size: float = 1.0,
        recolour: bool = True,
        specular: float = 0.0,
        shininess: float = 20.0,
        emission: float = 0.0,
        turned: bool = False,
    ) -> Material:
        """Return a material; its offset and seed are drawn."""
        r = self.random
        fixed = pattern in (FACADE, ROAD)
        offset_u, offset_v = (0.0, 0.0) if fixed else (r.uniform(-9, 9), r.uniform(-9, 9))
        return Material(
            pattern=pattern,
            texture=texture,
            texture_size=texture_size,
            a=a,
            b=b,
            period_u=period[0],
            period_v=period[1],
            fraction=fraction,
            variation=variation,
            noise=noise,
            noise_size=noise_size,
            specular=specular,
            shininess=shininess,
            emission=emission,
            recolour=recolour,
            offset_u=offset_u,
            offset_v=offset_v,
            turned=turned,
            seed=r.randrange(1 << 20),
        )

    def photo(self) -> int:
        """Draw the index of a photograph, -1 where the bank has none."""
        return self.random.randrange(self.bank.photos) if self.bank.photos else -1

    def crop(self) -> int:
        """Draw the index of a material texture, -1 where the bank has none."""
        first, count = self.bank.photos, len(self.bank.sizes)
        return self.random.randrange(first, count) if count > first else -1

    def textured(self, colour: Colour, size: tuple[float, float] = (0.4, 2.5), specular: float = 0.0) -> Material:
        """Draw a colour with the grain of a texture, or with noise; sometimes the texture's own colours."""
        r = self.random
        chance = r.random()
        noise, noise_size = r.uniform(0.0, 0.35), r.uniform(0.02, 0.8)
        texture = self.crop() if chance < 0.62 else (self.photo() if chance < 0.72 else -1)
        own = r.random() < 0.25
        return self.material(
            (1.0, 1.0, 1.0) if own and texture >= 0 else colour,
            texture=texture,
            texture_size=r.uniform(*size),
            recolour=not own,
            noise=noise if texture < 0 else 0.3 * noise,
            noise_size=noise_size,
            specular=specular,
            shininess=r.uniform(8, 60),
        )

    def plain(self, colour: Colour | None = None, specular: float | None = None) -> Material:
        """Draw paint or plastic: one colour, a trace of noise, sometimes glossy."""
        r = self.random
        gloss = r.choice((0.0, 0.0, 0.1, 0.4)) if specular is None else specular
        return self.material(
            colour or self.any_colour(),
            noise=r.choice((0.0, 0.05, 0.15)),
            noise_size=r.uniform(0.05, 0.6),
            specular=gloss,
            shininess=r.uniform(10, 90),
        )

    def patterned(self, a: Colour, b: Colour, size: float, kinds: tuple[int, ...] = MASONRY) -> Material:
        """Draw stripes, checks, tiles, planks or stains of about `size` metres."""
        r = self.random
        pattern = r.choice(kinds)
        wide = r.uniform(1.0, 5.0) if pattern in (BRICKS, PLANKS) else r.uniform(0.8, 1.3)
        thin = pattern in (TILES, BRICKS, PLANKS)
        return self.material(
            a,
            b,
            pattern=pattern,
            period=(size * wide, size),
            fraction=r.uniform(0.02, 0.1) if thin else r.uniform(0.2, 0.8),
            variation=r.uniform(0.0, 0.6),
            noise=r.uniform(0.0, 0.3),
            noise_size=size * r.uniform(0.3, 3.0),
            turned=r.random() < 0.5,
        )

    def wall(self) -> Material:
        """Draw mostly plain paint in light tones, else plaster, paper, brick or tiles."""
        r = self.random
        light = self.colour(0.1, 0.3, (0.0, 0.18), (0.6, 0.97)) if r.random() < 0.75 else self.any_colour()
        chance = r.random()
        if chance < 0.55:
            return self.material(light, noise=r.uniform(0.0, 0.15), noise_size=r.uniform(0.05, 1.5))
        if chance < 0.8:
            return self.textured(light, (0.5, 3.0))
        darker = (light[0] * 0.6, light[1] * 0.6, light[2] * 0.6)
        return self.patterned(light, darker if r.random() < 0.7 else self.any_colour(), r.uniform(0.06, 0.4))

    def floor(self) -> Material:
        """Draw planks, tiles, carpet or concrete."""
        r = self.random
        chance = r.random()
        if chance < 0.4:
            a = self.wood_colour()
            return self.material(
                a,
                (a[0] * 0.3, a[1] * 0.3, a[2] * 0.3),
                pattern=PLANKS,
                period=(r.uniform(0.5, 1.6), r.uniform(0.06, 0.2)),
                fraction=r.uniform(0.02, 0.06),
                variation=r.uniform(0.05, 0.6),
                texture=self.crop() if r.random() < 0.4 else -1,
                noise=r.uniform(0.05, 0.3),
                noise_size=r.uniform(0.03, 0.3),
                turned=r.random() < 0.5,
                specular=r.choice((0.0, 0.1, 0.25)),
            )
        grey = self.colour(0.09, 0.06, (0.0, 0.3), (0.25, 0.85))
        if chance < 0.6:
            other = (grey[0] * 0.6, grey[1] * 0.6, grey[2] * 0.6) if r.random() < 0.7 else self.any_colour()
            return self.patterned(grey, other, r.uniform(0.15, 0.6))
        return self.textured(grey if r.random() < 0.6 else self.any_colour(), (0.5, 2.5), r.choice((0.0, 0.0, 0.15)))

    def wood(self) -> Material:
        """Draw a furniture board, sometimes painted or laminated."""
        return self.textured(self.wood_colour(), (0.3, 1.5), self.random.choice((0.0, 0.05, 0.2)))

    def cloth(self) -> Material:
        """Draw upholstery, blankets or clothes."""
        if self.random.random() < 0.25:
            return self.patterned(self.any_colour(), self.any_colour(), self.random.uniform(0.02, 0.12), WOVEN)
        return self.textured(self.any_colour(), (0.2, 1.0))

    def metal(self) -> Material:
        """Draw a grey, glossy surface."""
        colour = self.colour(0.6, 0.1, (0.0, 0.1), (0.25, 0.8))
        return self.material(
            colour, noise=0.05, specular=self.random.uniform(0.2, 0.9), shininess=self.random.uniform(10, 80)
        )

    def skin(self) -> Material:
        """Draw any human skin tone."""
        return self.material(self.colour(0.06, 0.015, (0.3, 0.6), (0.25, 0.9)))

    def leaves(self) -> Material:
        """Draw foliage, green to autumn."""
        hue = 0.28 if self.random.random() < 0.8 else 0.1
        green = self.colour(hue, 0.06, (0.3, 0.8), (0.2, 0.6))
        return self.material(green, noise=0.35, noise_size=self.random.uniform(0.03, 0.3))

    def picture(self, emission: float = 0.0) -> Material:
        """Draw a photograph fitted to its face; a pattern where there are no photographs."""
        texture = self.photo()
        if texture < 0:
            a, b = self.any_colour(), self.any_colour()
            return self.material(a, b, pattern=STAINS, period=(0.3, 0.3), fraction=0.2, emission=emission)
        return self.material((1.0, 1.0, 1.0), texture=texture, texture_size=-1.0, recolour=False, emission=emission)

    def print(self, emission: float = 0.0) -> Material:
        """Draw lines of text on paper or on a screen."""
        r = self.random
        paper = self.colour(0.1, 0.5, (0.0, 0.1), (0.75, 1.0)) if r.random() < 0.7 else self.any_colour()
        grey = r.uniform(0.02, 0.3)
        ink = self.any_colour() if r.random() < 0.4 else (grey, grey, grey)
        line = r.uniform(0.003, 0.012)
        return self.material(
            paper, ink, pattern=PRINT, period=(line * r.uniform(1, 4), line), fraction=0.5, emission=emission
        )

    def ground(self) -> Material:
        """Draw grass, earth, gravel, sand or snow."""
        r = self.random
        hue = r.choice((0.25, 0.25, 0.1, 0.08, 0.12))
        a = self.colour(hue, 0.04, (0.1, 0.6), (0.2, 0.75))
        if r.random() < 0.4:
            b = self.colour(r.choice((0.25, 0.1)), 0.04, (0.1, 0.5), (0.2, 0.6))
            size = r.uniform(0.5, 6.0)
            return self.material(a, b, pattern=STAINS, period=(size, size), fraction=0.4, noise=0.4, noise_size=0.15)
        return self.textured(a, (0.6, 4.0))

    def facade(self, storey: float) -> Material:
        """Draw a wall with a grid of windows."""
        r = self.random
        wall = self.colour(0.08, 0.1, (0.05, 0.4), (0.3, 0.9)) if r.random() < 0.8 else self.any_colour()
        glass = self.colour(0.6, 0.06, (0.05, 0.4), (0.08, 0.45))
        wide = storey * r.uniform(0.5, 1.4)
        return self.material(
            wall,
            glass,
            pattern=FACADE,
            period=(wide, storey),
            fraction=r.uniform(0.35, 0.75),
            variation=0.6,
            texture=self.crop() if r.random() < 0.4 else -1,
            texture_size=r.uniform(1.0, 4.0),
            noise=r.uniform(0.0, 0.25),
            noise_size=r.uniform(0.3, 3.0),
            specular=r.choice((0.0, 0.1)),
        )
